//! What addresses become that a program names: numbers, where they are known, or symbols that a linker knows.

use super::lift::{Lifter, PLAIN};
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

/// Spaces of the names in compiled code: functions of the program by number, and symbols by their place in
/// [`crate::Code::syms`].
pub(crate) const FUNCTIONS: u32 = 0;
pub(crate) const SYMBOLS: u32 = 1;

/// What stops code that does what verified code never does.
const NEVER: TrapCode = TrapCode::unwrap_user(1);

/// Where the table of helpers has the first one: behind a word of its owner's.
const FIRST_HELPER: i32 = 8;

impl Lifter<'_> {
    /// The value of an `ld_imm64`, whatever it names.
    pub(super) fn named(&mut self, slot: u32, inst: Inst) -> Value {
        if self.plan.rules.ahead.is_some() {
            if let Some(symbol) = self.plan.code.syms.iter().position(|(at, _)| *at == slot) {
                let name = match self.plan.code.syms[symbol].1 {
                    crate::Sym::Func(number) => (FUNCTIONS, number.into()),
                    _ => (SYMBOLS, symbol as u32),
                };
                return self.symbol(name);
            }
            if let Inst::FuncAddr { rel, .. } = inst {
                return self.function_address(self.plan.callee(slot, rel));
            }
        }
        self.constant(self.plan.ops.ops[slot as usize].imm as i64)
    }

    /// The address of a function of the program.
    pub(super) fn function_address(&mut self, number: usize) -> Value {
        self.symbol((FUNCTIONS, number as u32))
    }

    fn symbol(&mut self, (namespace, index): (u32, u32)) -> Value {
        let name = self.to.func.declare_imported_user_function(UserExternalName { namespace, index });
        let data =
            GlobalValueData::Symbol { name: ExternalName::user(name), offset: 0.into(), colocated: true, tls: false };
        let global = self.to.func.create_global_value(data);
        self.to.ins().symbol_value(I64, global)
    }

    /// The address of a helper, by its place in the table.
    pub(super) fn helper_address(&mut self, place: u16) -> Value {
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
