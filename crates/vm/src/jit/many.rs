//! A function that runs a program for one list of arguments after the other: a loop around all of it, entered once.
//!
//! Sound because what it runs neither stops nor takes a frame of the [`crate::Env`] nor calls anybody who could ask for
//! something (whoever compiles it knows that): a run ends where it returns, and leaves nothing behind but r0.

use super::lift::{Lifter, PLAIN};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, Block, InstBuilder, Signature, Value};
use cranelift_codegen::isa::TargetIsa;

/// Bytes of a list of arguments.
const LIST: i64 = size_of::<[u64; 5]>() as i64;

/// The loop.
pub(super) struct Many {
    /// Where a run begins; takes where its arguments are, and where its result goes.
    head: Block,
    /// Where one ends, with r0.
    pub(super) next: Block,
    /// Of the run.
    arguments: Value,
    result: Value,
    /// Where the arguments end.
    end: Value,
}

/// Of a function that takes the environment, arguments, room for results, and where the arguments end: at least one.
pub(super) fn signature(isa: &dyn TargetIsa) -> Signature {
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params = vec![AbiParam::new(I64); 4];
    signature
}

impl Lifter<'_> {
    /// Where a run begins: its first `count` arguments.
    pub(super) fn next_arguments(&mut self, params: &[Value], count: u8) -> Vec<Value> {
        let (head, next) = (self.to.create_block(), self.to.create_block());
        let [arguments, result] = [0, 1].map(|_| self.to.append_block_param(head, I64));
        self.to.append_block_param(next, I64);
        self.to.ins().jump(head, &[params[0].into(), params[1].into()]);
        self.to.switch_to_block(head);
        self.many = Some(Many { head, next, arguments, result, end: params[2] });
        (0..i32::from(count)).map(|n| self.to.ins().load(I64, PLAIN, arguments, 8 * n)).collect()
    }

    /// Where one ends.
    pub(super) fn go_round(&mut self) {
        let Some(Many { head, next, arguments, result, end }) = self.many.take() else { return };
        self.to.switch_to_block(next);
        self.to.seal_block(next);
        let r0 = self.to.block_params(next)[0];
        self.to.ins().store(PLAIN, r0, result, 0);
        let arguments = self.to.ins().iadd_imm_s(arguments, LIST);
        let result = self.to.ins().iadd_imm_s(result, 8);
        let more = self.to.ins().icmp(IntCC::UnsignedLessThan, arguments, end);
        let done = self.to.create_block();
        self.to.ins().brif(more, head, &[arguments.into(), result.into()], done, &[]);
        self.to.seal_block(head);
        self.to.switch_to_block(done);
        self.to.seal_block(done);
        self.to.ins().return_(&[]);
    }
}
