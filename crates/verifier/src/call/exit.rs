//! The end of a program or function, and what it may return.

use crate::{
    engine::Flow,
    stop::{Check, reject},
    verifier::Verifier,
};

impl Verifier<'_> {
    pub(crate) fn check_exit(&mut self) -> Check<Flow> {
        let main = self.cur.depth == 0;
        self.check_nothing_held("BPF_EXIT instruction in main prog", main)?;
        if !main {
            return self.leave_function();
        }
        self.check_return_value()?;
        Ok(Flow::End)
    }

    fn check_return_value(&mut self) -> Check {
        self.check_read(0)?;
        if self.leaks(0) {
            reject!(self, EACCES, "R0 leaks addr as return value\n");
        }
        let frame = self.cur.frame(0);
        let (is_subprog, asynchronous) = (frame.subprog != 0, frame.in_async_callback);
        let reg = *self.reg(0);
        let (when, range) = if asynchronous {
            ("At async callback return", (0, 0))
        } else if is_subprog {
            if !reg.is_scalar() {
                reject!(self, EINVAL, "At subprogram exit the register R0 is not a scalar value ({})\n", reg.ty);
            }
            return Ok(());
        } else {
            let program = self.program.program;
            let row = self.profile.prog_type(program.ty);
            let Some(rule) = row.and_then(|row| row.ret_rule(self.program.expected, self.profile.version)) else {
                return Ok(());
            };
            ("At program exit", (rule.min, rule.max))
        };
        if !reg.is_scalar() {
            reject!(self, EINVAL, "{when} the register R0 is not a known value ({})\n", reg.ty);
        }
        self.mark_precise(0)?;
        self.check_returned_range(0, range, when)
    }

    /// That what is returned lies in a range.
    pub(super) fn check_returned_range(&mut self, regno: u8, range: (i32, i32), when: &str) -> Check {
        let (min, max) = range;
        let wide = self.reg(regno).val.wide;
        if i64::from(min) <= wide.smin && wide.smax <= i64::from(max) {
            return Ok(());
        }
        self.log.say(format_args!("{when} the register R{regno} has"));
        if wide.smin > i64::MIN {
            self.log.say(format_args!(" smin={}", wide.smin));
        }
        if wide.smax < i64::MAX {
            self.log.say(format_args!(" smax={}", wide.smax));
        }
        if wide.smin == i64::MIN && wide.smax == i64::MAX {
            self.log.say(format_args!(" unknown scalar value"));
        }
        reject!(self, EINVAL, " should have been in [{min}, {max}]\n")
    }
}
