//! `alveary_settings`: what a target shall be like.

use crate::{
    boundary::{enter, free, given, given_mut, text},
    error::{Failure, alveary_error},
    helper::{OwnHelper, alveary_helper},
    memory::{self, Memory},
};
use alveary::{
    User,
    abi::{Profile, Version},
    btf::Btf,
    files,
    runtime::{Clock, Engine, World},
};
use std::{
    collections::BTreeMap,
    ffi::{c_char, c_int},
    sync::Arc,
};

/// The most CPUs that a target may have: as many as Linux can be built for on the machines that we know.
const MOST_CPUS: u32 = 8192;

/// What a target shall be like. Opaque to C.
pub(crate) struct alveary_settings {
    cpus: u32,
    seed: u64,
    real_clock: bool,
    unverified: bool,
    engine: Engine,
    /// The kernel that it claims to be.
    version: (Version, u8),
    types: Option<Arc<Btf>>,
    kconfig: BTreeMap<String, String>,
    helpers: Vec<OwnHelper>,
}

impl Default for alveary_settings {
    fn default() -> alveary_settings {
        alveary_settings {
            cpus: 1,
            seed: 0,
            real_clock: false,
            unverified: false,
            engine: Engine::Auto,
            version: (Version::NEWEST, Version::NEWEST.newest_level()),
            types: None,
            kconfig: BTreeMap::new(),
            helpers: Vec::new(),
        }
    }
}

impl alveary_settings {
    /// A target that is like that.
    pub(crate) fn build(&self) -> User {
        let (version, patch) = self.version;
        let linux = Profile::linux(version);
        let tables = linux.tables().clone().with_prog_type(memory::ROW);
        let world = if self.real_clock { World::real() } else { World::repeatable() };
        let clock = if self.real_clock { Clock::Real } else { Clock::Virtual { start: 0 } };
        let builder = self.types.iter().fold(User::builder(), |builder, types| builder.btf(types.clone()));
        let builder = builder
            .profile(Profile::new(linux.version, linux.limits, tables))
            .patch_level(patch)
            .kconfig(self.kconfig.clone())
            .cpus(self.cpus)
            .world(world)
            .clock(clock)
            .seed(self.seed)
            .engine(self.engine)
            .family::<Memory>(Arc::new(()));
        let user = self.helpers.iter().fold(builder, |builder, helper| helper.clone().add_to(builder)).build();
        if self.unverified { user.unverified() } else { user }
    }
}

/// Changes settings: 0, or -1 and the reason in `error`.
///
/// # Safety
/// `settings` is NULL or settings that nobody else uses meanwhile; `error` is what [`enter`] says.
unsafe fn change(
    settings: *mut alveary_settings,
    error: *mut *mut alveary_error,
    how: impl FnOnce(&mut alveary_settings) -> Result<(), Failure>,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enter(error, -1, || how(given_mut(settings, "the settings")?).map(|()| 0)) }
}

#[unsafe(no_mangle)]
extern "C" fn alveary_settings_new() -> *mut alveary_settings {
    Box::into_raw(Box::default())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_cpus(
    settings: *mut alveary_settings,
    cpus: u32,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            if !(1..=MOST_CPUS).contains(&cpus) {
                let found = cpus.to_string();
                return Err(Failure::wrong("there cannot be so many CPUs".into(), format!("1 to {MOST_CPUS}"), found));
            }
            settings.cpus = cpus;
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_seed(
    settings: *mut alveary_settings,
    seed: u64,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            settings.seed = seed;
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_clock(
    settings: *mut alveary_settings,
    clock: u32,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            settings.real_clock = match clock {
                0 => false,
                1 => true,
                other => {
                    let expected = "ALVEARY_CLOCK_VIRTUAL (0) or ALVEARY_CLOCK_REAL (1)";
                    return Err(Failure::wrong("there is no such clock".into(), expected, other.to_string()));
                }
            };
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_verify(
    settings: *mut alveary_settings,
    verify: c_int,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            settings.unverified = verify == 0;
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_version(
    settings: *mut alveary_settings,
    major: u32,
    minor: u32,
    patch: u32,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            let (Ok(first), Ok(second)) = (u16::try_from(major), u16::try_from(minor)) else {
                let found = format!("{major}.{minor}.{patch}");
                return Err(Failure::wrong("there is no such version".into(), "numbers below 65536", found));
            };
            // Where the third number is larger, kernels themselves say 255.
            settings.version = (Version(first, second), patch.min(255) as u8);
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_btf(
    settings: *mut alveary_settings,
    path: *const c_char,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the string and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            settings.types = Some(files::types(text(path, "the path")?)?);
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_kconfig(
    settings: *mut alveary_settings,
    path: *const c_char,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the string and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            settings.kconfig = files::kconfig(text(path, "the path")?)?;
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_engine(
    settings: *mut alveary_settings,
    engine: u32,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            settings.engine = match engine {
                0 => Engine::Auto,
                1 => Engine::Jit,
                2 => Engine::Interp,
                other => {
                    let expected = "ALVEARY_ENGINE_AUTO (0), ALVEARY_ENGINE_JIT (1) or ALVEARY_ENGINE_INTERP (2)";
                    return Err(Failure::wrong("there is no such engine".into(), expected, other.to_string()));
                }
            };
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_helper(
    settings: *mut alveary_settings,
    helper: *const alveary_helper,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle, the definition and `error` are what the header says.
    unsafe {
        change(settings, error, |settings| {
            let helper = given(helper, "the helper")?;
            if let Some(there) = settings.helpers.iter().find(|own| own.number() == helper.number) {
                let message = format!("helper number {} is taken by `{}`", helper.number, there.name());
                return Err(Failure::wrong(message, "a number that is free", helper.number.to_string()));
            }
            settings.helpers.push(OwnHelper::new(helper)?);
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_settings_free(settings: *mut alveary_settings) {
    // SAFETY: NULL or settings that the caller gives up, as the header says.
    unsafe { free(settings) };
}
