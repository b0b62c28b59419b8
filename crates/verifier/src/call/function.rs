//! Functions of the program: static ones are entered, global ones are trusted to do what their prototype says.

use crate::{
    engine::{Flow, Widened},
    limits::MAX_FRAMES,
    state::{Frame, Kind},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::Rule;

impl Verifier<'_> {
    pub(super) fn check_function_call(&mut self) -> Check<Flow> {
        let callee = self.program.callee(self.insn).and_then(|start| u32::try_from(start).ok());
        let Some(subprog) = callee.and_then(|start| self.program.subprog_at(start)) else {
            refuse!("a call of what is no function");
        };
        if self.program.subprogs[subprog as usize].global {
            return self.call_global(subprog);
        }
        self.remark_on_static(subprog);
        let depth = self.cur.depth;
        if depth + 1 >= MAX_FRAMES {
            reject!(self, E2BIG, "the call stack of {} frames is too deep\n", depth + 2);
        }
        let mut frame = Frame::new(self.insn, depth as u8 + 1, subprog);
        frame.regs[1..6].copy_from_slice(&self.cur.top().regs[1..6]);
        frame.async_entries = 0;
        self.log.scratch_all();
        self.clear_caller_saved();
        self.cur.push_frame(frame);
        self.insn = self.program.subprogs[subprog as usize].start;
        self.liveness.leave();
        if self.log.on() {
            self.log.trace(format_args!("caller:\n"));
            self.print_frame(depth);
            self.log.trace(format_args!("callee:\n"));
            self.print_frame(depth + 1);
        }
        Ok(Flow::Jump)
    }

    fn call_global(&mut self, subprog: u32) -> Check<Flow> {
        let matched = self.match_arguments(subprog);
        let name = self.program.subprogs[subprog as usize].name.clone();
        if let Err(crate::stop::Stop::Refused(_)) = matched {
            return matched.map(|()| Flow::Next);
        }
        if self.cur.lock.is_some() {
            reject!(
                self,
                EINVAL,
                "global function calls are not allowed while holding a lock,\nuse static function instead\n"
            );
        }
        if self.program.subprogs[subprog as usize].may_sleep && !self.cur.in_sleepable {
            reject!(
                self,
                EINVAL,
                "global functions that may sleep are not allowed in non-sleepable context,\ni.e., in a RCU/IRQ/preempt-disabled section, or in\na non-sleepable BPF program context\n"
            );
        }
        if let Err(stop) = matched {
            self.log.say(format_args!("Caller passes invalid args into func#{subprog} ('{name}')\n"));
            return Err(stop);
        }
        self.log.trace(format_args!("Func#{subprog} ('{name}') is global and assumed valid.\n"));
        let changes = self.program.subprogs[subprog as usize].changes_packet;
        if changes && self.profile.has(Rule::FunctionsMovePackets) {
            self.forget_packet();
        }
        self.called[subprog as usize] = true;
        self.clear_caller_saved();
        self.set_unknown(0);
        Ok(Flow::Next)
    }

    /// Returns from the innermost function to its caller, or to the helper that called it back.
    pub(crate) fn leave_function(&mut self) -> Check<Flow> {
        self.liveness.update(&self.cur, &self.program, &mut self.log);
        let result = *self.reg(0);
        if result.ty.kind == Kind::Stack {
            reject!(self, EINVAL, "cannot return stack pointer to the caller\n");
        }
        let (callsite, called_back) = (self.cur.top().callsite, self.cur.top().in_callback);
        let depth = self.cur.depth;
        if called_back {
            if !result.is_scalar() {
                reject!(self, EACCES, "R0 not a scalar value\n");
            }
            self.mark_precise(0)?;
            let range = self.cur.top().callback_range;
            self.check_returned_range(0, range, "At callback return")?;
        } else {
            self.cur.frame_mut(depth - 1).regs[0] = result;
        }
        self.insn = if called_back { callsite } else { callsite + 1 };
        if self.log.on() {
            self.log.trace(format_args!("returning from callee:\n"));
            self.print_frame(depth);
            self.log.trace(format_args!("to caller at {}:\n", self.insn));
            self.print_frame(depth - 1);
        }
        self.cur.pop_frame();
        if called_back && let Some(earlier) = self.earlier_entry(&self.cur, self.insn) {
            self.widen(earlier, Widened::Current);
        }
        Ok(Flow::Return)
    }

    pub(super) fn return_from_tail_call(&mut self) -> Check<Flow> {
        let (next, insn) = (self.insn + 1, self.insn);
        self.log.scratch_reg(0);
        self.push_path(next, insn)?;
        self.forget_packet();
        self.set_unknown(0);
        self.leave_function()?;
        Ok(Flow::Jump)
    }
}
