//! Programs that are run by a mere call: native ones that ask nothing of whoever runs them. Nothing has to be made ready.

use crate::{Family, Prog, Vcpu};
use alveary_vm::Alone;
use std::{any::TypeId, fmt, marker::PhantomData, sync::Arc};

/// A native program that was proven, calls nothing and cannot stop.
pub struct Direct<F> {
    code: Alone,
    /// Keeps the code, and the maps whose values it may access.
    prog: Arc<Prog>,
    family: PhantomData<fn(F)>,
}

impl<F: Family> Direct<F> {
    /// A program, if it is one and takes contexts of this family.
    #[must_use]
    pub fn of(prog: &Arc<Prog>) -> Option<Direct<F>> {
        let fits = prog.is_trusted() && !prog.calls() && prog.family.id == TypeId::of::<F>();
        let code = prog.image.alone().filter(|_| fits)?;
        Some(Direct { code, prog: prog.clone(), family: PhantomData })
    }

    /// Runs it on a context, as [`Vcpu::run`] does; gives what it returns.
    #[inline]
    pub fn run(&self, cpu: &mut Vcpu, ctx: &F::Ctx) -> u64 {
        let r1 = std::ptr::from_ref(ctx) as u64;
        // SAFETY: `prog` keeps the image. It was proven for contexts of its family, which `ctx` is one of, and for whatever
        // its maps hold; it calls nothing, so that nothing else of the environment is asked for.
        unsafe { self.code.run(&cpu.env, [r1, 0, 0, 0, 0]) }
    }
}

impl<F> fmt::Debug for Direct<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Direct").field(&self.prog).finish()
    }
}
