//! Which engine runs proven programs. What is not proven is interpreted, checked.

use alveary_vm::{BadCode, Cache, Code, Image, Jit, Link, Listed, NoJit, Passes, Settings};
use std::sync::{Arc, OnceLock};

/// What runs proven programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Engine {
    /// The interpreter at first; native code for a program that has run a thousand times, or interpreted for as long as
    /// compiling takes, or is attached ([`crate::Prog::attached`]), where there is some.
    #[default]
    Auto,
    /// Native code from the first run on. Programs that there is none for are refused: also what is not proven.
    Jit,
    /// The interpreter.
    Interp,
}

/// The engines of a runtime.
#[derive(Debug)]
pub(crate) struct Engines {
    pub(crate) engine: Engine,
    settings: Settings,
    cache: Option<Arc<Cache>>,
    /// Made when the first program asks for it.
    jit: OnceLock<Result<Arc<Jit>, NoJit>>,
}

impl Engines {
    pub(crate) fn new(engine: Engine, settings: Settings, cache: Option<Arc<Cache>>) -> Engines {
        Engines { engine, settings, cache, jit: OnceLock::new() }
    }

    /// What is made better of proven programs.
    pub(crate) fn passes(&self) -> Passes {
        self.settings.passes
    }

    /// Links code for trusted mode.
    ///
    /// # Safety
    /// As [`Image::trusted`].
    ///
    /// # Errors
    /// Why it cannot be linked, or compiled where it has to be.
    pub(crate) unsafe fn trusted(&self, code: &Code, link: &dyn Link) -> Result<Image, String> {
        let said = |why: BadCode| why.to_string();
        match self.engine {
            // SAFETY: the caller's promise.
            Engine::Auto if self.settings.fuel => unsafe { Image::native(code, link, self.jit()?) }.map_err(said),
            Engine::Interp if self.settings.fuel => Err(
                "it is proven, but instructions are to be counted, which the interpreter does in checked runs alone"
                    .to_owned(),
            ),
            // SAFETY: the caller's promise.
            Engine::Jit => unsafe { Image::native(code, link, self.jit()?) }.map_err(said),
            Engine::Auto => match self.jit() {
                // SAFETY: the caller's promise.
                Ok(jit) => unsafe { Image::adaptive(code, link, jit) }.map_err(said),
                // SAFETY: the caller's promise.
                Err(_) => unsafe { Image::trusted(code, link) }.map_err(said),
            },
            // SAFETY: the caller's promise.
            Engine::Interp => unsafe { Image::trusted(code, link) }.map_err(said),
        }
    }

    /// What native code would be.
    ///
    /// # Errors
    /// Why there would be none.
    pub(crate) fn list(&self, code: &Code, link: &dyn Link) -> Result<Vec<Listed>, String> {
        self.jit()?.list(code, link).map_err(|why| why.to_string())
    }

    fn jit(&self) -> Result<&Arc<Jit>, String> {
        let make = || match &self.cache {
            Some(cache) => Jit::cached(self.settings, cache.clone()),
            None => Jit::with(self.settings),
        };
        self.jit.get_or_init(make).as_ref().map_err(ToString::to_string)
    }
}
