//! Linked, pre-decoded code, and the one door to running it.

use crate::bad_code::BadCode;
use crate::engine::{self, Checked, Trusted, handler_at};
use crate::env::{Request, Running};
use crate::predecode::{Ops, function_index, function_word, predecode};
use crate::{Checks, Code, Env, Exit, Link, Trap, TrapKind};

/// Code that is linked and ready to run, in one of two modes.
///
/// *Trusted* does what the code says. *Checked* holds every access against the regions of the [`Env`] and against
/// [`Checks`], counts instructions, and lets the owner judge every helper call: whatever the code is, it ends with a
/// value or a [`Trap`] and has touched nothing else.
///
/// An image is immutable and may be run by many threads at once, each with its own [`Env`].
#[derive(Debug)]
pub struct Image {
    ops: Ops,
    origin: Box<[u32]>,
    trusted: bool,
}

impl Image {
    /// Links `code` for trusted mode.
    ///
    /// # Safety
    /// The code must be proven, for every [`Env`], argument list and callback that it will be run with, to access only
    /// memory that is valid for that, and to call helpers only with arguments that they are sound for.
    ///
    /// # Errors
    /// The first slot that is no instruction, or jumps or calls where there is none.
    pub unsafe fn trusted(code: &Code, link: &dyn Link) -> Result<Image, BadCode> {
        Self::new(code, link, true)
    }

    /// Links `code` for checked mode.
    ///
    /// # Errors
    /// As [`Image::trusted`].
    pub fn checked(code: &Code, link: &dyn Link) -> Result<Image, BadCode> {
        Self::new(code, link, false)
    }

    fn new(code: &Code, link: &dyn Link, trusted: bool) -> Result<Image, BadCode> {
        let handlers = if trusted { handler_at::<Trusted> } else { handler_at::<Checked> };
        Ok(Image { ops: predecode(code, link, handlers)?, origin: code.origin.as_slice().into(), trusted })
    }

    /// The word of function `index` of [`Code::funcs`], for [`Image::run`], [`Env::callback`] and `callx`.
    #[must_use]
    pub const fn function(index: u16) -> u64 {
        function_word(index)
    }

    /// Runs a function: `func` is its word ([`Image::function`]), or 0 for the entry. `checks` judge what the regions
    /// do not cover; without them, a checked run has its regions only, and no helpers.
    ///
    /// A run may begin while another one on the same [`Env`] is inside a helper: its frames stand below, and it has
    /// eight of its own.
    ///
    /// # Errors
    /// Why and where the run was stopped.
    pub fn run(&self, env: &Env, func: u64, args: [u64; 5], checks: Option<&dyn Checks>) -> Result<Exit, Trap> {
        let base = env.stack.used();
        // SAFETY: only the lifetime changes. The pointer is used by callbacks, and `running` is taken back below,
        // before the borrow ends.
        let erased = checks.map(|checks| unsafe {
            std::mem::transmute::<*const (dyn Checks + '_), *const (dyn Checks + 'static)>(checks)
        });
        let outer = env.running.replace(Some(Running { image: self, checks: erased, base }));
        let _ended = Ended { env, outer, base };
        self.enter(env, func, args, checks, base)
    }

    /// [`Image::run`] inside a run whose outermost frame is `base`.
    pub(crate) fn enter(
        &self,
        env: &Env,
        func: u64,
        args: [u64; 5],
        checks: Option<&dyn Checks>,
        base: usize,
    ) -> Result<Exit, Trap> {
        let index = if func == 0 { Some(0) } else { function_index(func) };
        let Some(&entry) = index.and_then(|index| self.ops.funcs.get(index)) else {
            return Err(Trap { insn: 0, kind: TrapKind::BadCall { target: func } });
        };
        let ops = &self.ops;
        let result = if self.trusted {
            engine::enter::<Trusted>(ops, env, checks, base, entry, args)
        } else {
            engine::enter::<Checked>(ops, env, checks, base, entry, args)
        };
        result.map_err(|fault| fault.trap(|slot| self.origin.get(slot).copied().unwrap_or(slot as u32)))
    }
}

/// Puts an [`Env`] back to what it was before a run, however that ends.
struct Ended<'a> {
    env: &'a Env,
    outer: Option<Running>,
    base: usize,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.env.running.set(self.outer);
        self.env.stack.truncate(self.base);
        if self.outer.is_none() {
            self.env.request.set(Request::None);
        }
    }
}
