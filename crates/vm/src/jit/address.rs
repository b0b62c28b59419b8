//! What addresses become that a program names: numbers, where they are known, or symbols that a linker knows.

use super::lift::{Lifter, PLAIN};
use super::native::Service;
use alveary_isa::Inst;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{ExternalName, GlobalValueData, InstBuilder, TrapCode, UserExternalName, Value};

/// What code is that is compiled ahead of time: functions of C's, on the native stack alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ahead<'a> {
    /// For each of [`crate::Code::calls`] its place in the table of helpers, which functions take as their first argument
    /// if there are any.
    pub(crate) table: &'a [u16],
}

/// Spaces of the names in compiled code: functions of the program by number, symbols by their place in
/// [`crate::Code::syms`], helpers by that in [`crate::Code::calls`], the engine's services, and the memory that
/// [`crate::Code::lookups`] search.
pub(super) const FUNCTIONS: u32 = 0;
pub(super) const SYMBOLS: u32 = 1;
pub(super) const HELPERS: u32 = 2;
pub(super) const SERVICES: u32 = 3;
pub(super) const TABLES: u32 = 4;

/// What stops code that does what verified code never does.
const NEVER: TrapCode = TrapCode::unwrap_user(1);

/// Where the table of helpers has the first one: behind a word of its owner's.
const FIRST_HELPER: i32 = 8;

impl Lifter<'_> {
    /// The value of an `ld_imm64`, whatever it names.
    pub(super) fn named(&mut self, slot: u32, inst: Inst) -> Value {
        let rules = self.plan.rules;
        if rules.kept
            && let Some(symbol) = self.plan.code.syms.iter().position(|(at, _)| *at == slot)
            && !matches!(self.plan.code.syms[symbol].1, crate::Sym::Func(_))
        {
            return self.symbol((SYMBOLS, symbol as u32), 0);
        }
        if rules.ahead.is_some() {
            if let Some(symbol) = self.plan.code.syms.iter().position(|(at, _)| *at == slot) {
                let name = match self.plan.code.syms[symbol].1 {
                    crate::Sym::Func(number) => (FUNCTIONS, number.into()),
                    _ => (SYMBOLS, symbol as u32),
                };
                return self.symbol(name, 0);
            }
            if let Inst::FuncAddr { rel, .. } = inst {
                return self.function_address(self.plan.callee(slot, rel));
            }
        }
        self.constant(self.plan.ops.ops[slot as usize].imm as i64)
    }

    /// The address of a function of the program.
    pub(super) fn function_address(&mut self, number: usize) -> Value {
        self.symbol((FUNCTIONS, number as u32), 0)
    }

    /// The address of a name, and `off`.
    fn symbol(&mut self, (namespace, index): (u32, u32), off: i64) -> Value {
        let name = self.to.func.declare_imported_user_function(UserExternalName { namespace, index });
        // A library is in one piece; what is linked here names what is anywhere in the process.
        let colocated = self.plan.rules.ahead.is_some();
        let data =
            GlobalValueData::Symbol { name: ExternalName::user(name), offset: off.into(), colocated, tls: false };
        let global = self.to.func.create_global_value(data);
        self.to.ins().symbol_value(I64, global)
    }

    /// The address of something that stays where it is while the process lives, and `off`.
    fn known_address(&mut self, space: u32, index: u32, off: i64) -> Value {
        if self.plan.rules.kept {
            return self.symbol((space, index), off);
        }
        // What is not there was refused when the code was decoded.
        let address = self.plan.address((space, index)).unwrap_or_default();
        self.number(address.wrapping_add_signed(off) as i64)
    }

    /// The address of a helper's body.
    pub(super) fn helper_address(&mut self, number: usize) -> Value {
        self.known_address(HELPERS, number as u32, 0)
    }

    /// The address of a function of the engine.
    pub(super) fn service_address(&mut self, service: Service) -> Value {
        self.known_address(SERVICES, service as u32, 0)
    }

    /// An address in the memory that a lookup searches.
    pub(super) fn table_address(&mut self, lookup: usize, off: i64) -> Value {
        self.known_address(TABLES, lookup as u32, off)
    }

    /// The address of a helper, by its place in the table.
    pub(super) fn helper_in_table(&mut self, place: u16) -> Value {
        self.to.ins().load(I64, PLAIN, self.env, FIRST_HELPER + 8 * i32::from(place))
    }

    /// Ends the block: what is here is never run.
    pub(super) fn never(&mut self) {
        self.to.ins().trap(NEVER);
    }

    /// What `condition` says never is.
    pub(super) fn never_if(&mut self, condition: Value) {
        self.to.ins().trapnz(condition, NEVER);
    }
}
