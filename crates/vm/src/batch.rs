//! Run after run of one image on one [`Env`]: what does not change between them is done once.

use crate::env::{Fault, Running};
use crate::jit::NativeFn;
use crate::{Checks, Env, Exit, Image, Trap};
use std::cell::Cell;
use std::fmt;

/// An image that is ready to be run on an [`Env`], again and again ([`Image::batch`]).
pub struct Batch<'a> {
    image: &'a Image,
    env: &'a Env,
    /// The first function, if it is native by now.
    entry: Cell<Option<NativeFn>>,
    /// What callbacks of helpers run while this batch does.
    running: &'a Running,
    /// The outermost frame.
    base: usize,
    checks: Option<&'a dyn Checks>,
}

impl Batch<'_> {
    /// Runs the first function, as [`Image::run`] does.
    ///
    /// # Errors
    /// As [`Image::run`].
    ///
    /// # Panics
    /// If another batch on the same [`Env`] has begun and not ended: callbacks would be taken for that one's.
    #[inline(always)]
    pub fn run(&self, args: [u64; 5]) -> Result<Exit, Trap> {
        self.assert_innermost();
        let Some(entry) = self.entry.get() else { return self.interpret(args) };
        // SAFETY: whoever made the image has promised what trusted code asks for, and it is borrowed.
        let returned = unsafe { entry.call(self.env, args) };
        match returned.value() {
            Some(value) => Ok(Exit::Return(value)),
            None => self.stopped(),
        }
    }

    /// Runs the first function for each of these arguments in turn, as long as there is room for a result: as
    /// [`Batch::run`] does, at less cost for each. A program that needs neither helpers nor frames that others see is
    /// entered once for all of them.
    ///
    /// # Errors
    /// The number of the first run that did not return, and how it ended; the results of those before it are there.
    ///
    /// # Panics
    /// As [`Batch::run`].
    pub fn run_each(&self, args: &[[u64; 5]], results: &mut [u64]) -> Result<(), (usize, Result<Exit, Trap>)> {
        self.assert_innermost();
        if let Some(many) = self.image.many() {
            // SAFETY: whoever made the image has promised what trusted code asks for, and it is borrowed.
            unsafe { many.call(self.env, args, results) };
            return Ok(());
        }
        for (number, (args, result)) in args.iter().zip(results).enumerate() {
            match self.run(*args) {
                Ok(Exit::Return(value)) => *result = value,
                end => return Err((number, end)),
            }
        }
        Ok(())
    }

    /// Runs a function, by its word.
    pub(crate) fn function(&self, func: u64, args: [u64; 5]) -> Result<Exit, Trap> {
        if func == 0 {
            return self.run(args);
        }
        self.assert_innermost();
        let result = self.image.enter(self.env, func, args, self.checks, self.base);
        self.clear();
        result
    }

    #[inline(always)]
    fn assert_innermost(&self) {
        assert!(std::ptr::eq(self.env.running.get(), self.running), "another batch runs in this environment");
    }

    /// By then the code may have become hot.
    #[inline(never)]
    fn interpret(&self, args: [u64; 5]) -> Result<Exit, Trap> {
        self.image.count_run();
        let result = self.image.enter(self.env, 0, args, self.checks, self.base);
        self.clear();
        self.entry.set(self.image.entry());
        result
    }

    /// Native code stopped before its end.
    #[cold]
    fn stopped(&self) -> Result<Exit, Trap> {
        self.clear();
        self.env.stop.get().map_err(|fault: Fault| self.image.trap(fault))
    }

    /// Takes back what a run left, however it ended.
    fn clear(&self) {
        self.env.stack.truncate(self.base);
        if self.base == 0 {
            self.env.take_request();
        }
    }
}

impl Image {
    /// Prepares many runs, one after the other, and hands them to `runs`. `checks` are as for [`Image::run`].
    ///
    /// ```
    /// # use alveary_vm::{Code, Env, Exit, Func, HelperFn, Image, Link};
    /// # use alveary_isa::{Insn, Reg};
    /// # struct Nothing;
    /// # // SAFETY: there is nothing to give an address to.
    /// # unsafe impl Link for Nothing {
    /// #     fn map(&self, _: u16) -> u64 { 0 }
    /// #     fn map_value(&self, _: u16, _: u32) -> u64 { 0 }
    /// #     fn memory(&self, _: u16, _: u64) -> u64 { 0 }
    /// #     fn helper(&self, _: u16) -> HelperFn { unreachable!() }
    /// # }
    /// // r0 = r1; exit
    /// let insns = vec![
    ///     Insn { op: 0xbf, dst: Reg(0), src: Reg(1), off: 0, imm: 0 },
    ///     Insn { op: 0x95, dst: Reg(0), src: Reg(0), off: 0, imm: 0 },
    /// ];
    /// let code = Code { insns, funcs: vec![Func { start: 0, stack: 0 }], ..Code::default() };
    /// let image = Image::checked(&code, &Nothing).expect("well-formed");
    /// let sum: u64 = image.batch(&Env::new(), None, |batch| {
    ///     (0..10).map(|n| match batch.run([n, 0, 0, 0, 0]) {
    ///         Ok(Exit::Return(value)) => value,
    ///         other => panic!("{other:?}"),
    ///     }).sum()
    /// });
    /// assert_eq!(sum, 45);
    /// ```
    pub fn batch<R>(&self, env: &Env, checks: Option<&dyn Checks>, runs: impl FnOnce(&Batch<'_>) -> R) -> R {
        let base = env.stack.used();
        // SAFETY: only the lifetime changes. The pointer is used by callbacks, and `running` is taken back below,
        // before the borrow ends.
        let erased = checks.map(|checks| unsafe {
            std::mem::transmute::<*const (dyn Checks + '_), *const (dyn Checks + 'static)>(checks)
        });
        let running = Running { image: self, checks: erased, base };
        let outer = env.running.replace(&running);
        let _ended = Ended { env, outer, base, limit: env.stack.begin(base) };
        runs(&Batch { image: self, env, entry: Cell::new(self.entry()), running: &running, base, checks })
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("image", &self.image).finish_non_exhaustive()
    }
}

/// Puts an [`Env`] back to what it was before the runs, however they end.
struct Ended<'a> {
    env: &'a Env,
    outer: *const Running,
    base: usize,
    limit: usize,
}

impl Drop for Ended<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.env.running.set(self.outer);
        self.env.stack.truncate(self.base);
        self.env.stack.end_of_run(self.limit);
    }
}
