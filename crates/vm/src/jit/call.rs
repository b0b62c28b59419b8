//! What calls become: helpers by their addresses with as many arguments as they read, subprograms as native calls.

use super::address::FUNCTIONS;
use super::lift::{Lifter, PLAIN, signature};
use super::native::Service;
use crate::Env;
use crate::predecode::function_word;
use alveary_isa::Reg;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, ExtFuncData, ExternalName, InstBuilder, Signature, UserExternalName, Value};
use std::mem::offset_of;

/// Where the environment says that a helper asked for something.
const ASKED: i32 = offset_of!(Env, asked) as i32;

/// Where the environment says which helper an arena's program calls.
const CALLED: i32 = offset_of!(Env, called) as i32;

impl Lifter<'_> {
    /// Calls a function of the engine: it says what this function returns.
    pub(super) fn ask(&mut self, service: Service, args: &[Value]) -> [Value; 2] {
        let signature = signature(self.isa, self.plan.rules, args.len() as u8);
        let signature = self.to.import_signature(signature);
        let callee = self.service_address(service);
        let args: Vec<Value> = [self.env].iter().chain(args).copied().collect();
        let call = self.to.ins().call_indirect(signature, callee, &args);
        let results = self.to.inst_results(call);
        [results[0], results[1]]
    }

    pub(super) fn call_helper(&mut self, slot: u32, number: usize) {
        match self.known_body(slot) {
            Some(body) => self.do_in_place(body, |lifter| lifter.ask_helper(slot, number)),
            None => self.ask_helper(slot, number),
        }
    }

    fn ask_helper(&mut self, slot: u32, number: usize) {
        let call = self.plan.code.calls[number];
        let mut signature = Signature::new(self.isa.default_call_conv());
        signature.params = vec![AbiParam::new(I64); 1 + usize::from(call.args.min(5))];
        signature.returns = vec![AbiParam::new(I64)];
        let signature = self.to.import_signature(signature);
        let args = self.arguments(call.args.min(5));
        if let Some(ahead) = self.plan.rules.ahead {
            let callee = self.helper_in_table(ahead.table[number]);
            let call = self.to.ins().call_indirect(signature, callee, &args);
            let result = self.to.inst_results(call)[0];
            return self.set(Reg::R0, result);
        }
        if self.arena.is_some() {
            let number = self.number(number as i64);
            self.to.ins().store(PLAIN, number, self.env, CALLED);
        }
        self.store_fuel();
        let callee = self.helper_address(number);
        let call = self.to.ins().call_indirect(signature, callee, &args);
        let result = self.to.inst_results(call)[0];
        self.load_fuel();
        let asked = self.to.ins().uload8(I64, PLAIN, self.env, ASKED);
        self.unless(asked, |lifter| {
            let slot = lifter.number(slot.into());
            let returned = lifter.ask(Service::Obey, &[slot]);
            lifter.leave(&returned);
        });
        self.set(Reg::R0, result);
    }

    pub(super) fn call_local(&mut self, number: usize) {
        let callee = &self.plan.functions[number];
        let (args, stops) = (self.arguments(callee.args), callee.stops);
        let signature = signature(self.isa, self.plan.rules, callee.args);
        let signature = self.to.import_signature(signature);
        let name = UserExternalName { namespace: FUNCTIONS, index: number as u32 };
        let name = ExternalName::user(self.to.func.declare_imported_user_function(name));
        let function = self.to.import_function(ExtFuncData { name, signature, colocated: true, patchable: false });
        if stops {
            self.store_fuel();
        }
        let call = self.to.ins().call(function, &args);
        let r0 = self.to.inst_results(call)[0];
        if stops {
            let stopped = self.to.inst_results(call)[1];
            let (onward, block) = (self.to.create_block(), self.stopped());
            self.to.ins().brif(stopped, block, &[], onward, &[]);
            self.to.switch_to_block(onward);
            self.to.seal_block(onward);
            self.load_fuel();
        }
        self.set(Reg::R0, r0);
    }

    /// Calls the function or the helper that a register names: whatever the code has is tried.
    pub(super) fn call_register(&mut self, slot: u32, reg: Reg) {
        let target = self.get(reg);
        let after = self.to.create_block();
        for number in 0..self.plan.functions.len() {
            let word = match self.plan.rules.ahead {
                Some(_) => self.function_address(number),
                None => self.number(function_word(number as u16) as i64),
            };
            self.when(target, word, |lifter| {
                lifter.call_local(number);
                lifter.to.ins().jump(after, &[]);
            });
        }
        // Where code is compiled ahead of time nobody knows numbers of helpers.
        let helpers = if self.plan.rules.ahead.is_none() { self.plan.ops.helpers.len() } else { 0 };
        for number in 0..helpers {
            let tag = self.number(self.plan.ops.helpers[number].tag.into());
            self.when(target, tag, |lifter| {
                lifter.call_helper(slot, number);
                lifter.to.ins().jump(after, &[]);
            });
        }
        if self.plan.rules.ahead.is_some() {
            self.never();
        } else {
            let slot = self.number(slot.into());
            let returned = self.ask(Service::BadCall, &[slot, target]);
            self.leave(&returned);
        }
        self.to.switch_to_block(after);
        self.to.seal_block(after);
    }

    /// Does something that ends the block if `value` is this `word`, and goes on otherwise.
    fn when(&mut self, value: Value, word: Value, then: impl FnOnce(&mut Self)) {
        let (matches, onward) = (self.to.create_block(), self.to.create_block());
        let is = self.to.ins().icmp(IntCC::Equal, value, word);
        self.to.ins().brif(is, matches, &[], onward, &[]);
        self.to.switch_to_block(matches);
        self.to.seal_block(matches);
        then(self);
        self.to.switch_to_block(onward);
        self.to.seal_block(onward);
    }

    /// The environment, and as many registers.
    fn arguments(&mut self, count: u8) -> Vec<Value> {
        let mut args = if self.plan.rules.takes_environment() { vec![self.env] } else { Vec::new() };
        args.extend((1..=count).map(|reg| self.get(Reg(reg))));
        args
    }
}
