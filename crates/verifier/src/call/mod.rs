//! Calls and returns.
//!
//! | file | holds |
//! |---|---|
//! | `helper` | calls of helpers, by their rows |
//! | `argument` | one argument of a helper |
//! | `maps` | which helper takes which map |
//! | `returned` | what a helper gives back |
//! | `callback` | functions that a helper calls |
//! | `held` | references and locks |
//! | `function` | functions of the program: entered, returned from |
//! | `global` | functions that are verified by themselves, by their BTF |
//! | `exit` | the end of a program or function, and what may be returned |

mod argument;
mod callback;
mod exit;
mod function;
mod global;
mod held;
mod helper;
mod maps;
mod returned;

pub(crate) use global::Arguments;

use crate::{
    engine::Flow,
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::HelperId;
use alveary_isa::Inst;

impl Verifier<'_> {
    pub(crate) fn check_call(&mut self, inst: Inst) -> Check<Flow> {
        let locked = self.cur.lock.is_some();
        let flow = match inst {
            Inst::CallHelper { id } => {
                if locked && id != HelperId::SPIN_UNLOCK.0 as i32 {
                    reject!(self, EINVAL, "function calls are not allowed while holding a lock\n");
                }
                self.check_helper(id)?
            }
            Inst::CallLocal { .. } => self.check_function_call()?,
            _ => refuse!("a call of a kernel function (kfunc)"),
        };
        self.log.scratch_reg(0);
        Ok(flow)
    }

    pub(crate) fn is_sleepable(&self) -> bool {
        self.program.program.flags & alveary_abi::flags::BPF_F_SLEEPABLE != 0
    }
}
