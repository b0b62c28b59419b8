//! Targets and virtual CPUs.

use crate::{
    boundary::{enter, free, given},
    error::{Failure, alveary_error, string},
    settings::alveary_settings,
};
use alveary::{
    User,
    diag::{Diagnostic, Place},
    runtime::Vcpu,
};
use std::{
    ffi::{c_char, c_int, c_void},
    sync::{Mutex, MutexGuard, TryLockError},
};

/// A user-space kernel. Opaque to C.
pub(crate) struct alveary_target {
    pub(crate) user: User,
}

/// A virtual CPU. Opaque to C; the lock turns a second run meanwhile into an error.
pub(crate) struct alveary_cpu {
    cpu: Mutex<Vcpu>,
}

impl alveary_cpu {
    /// The CPU, for one call.
    pub(crate) fn take(&self) -> Result<MutexGuard<'_, Vcpu>, Failure> {
        match self.cpu.try_lock() {
            Ok(cpu) => Ok(cpu),
            // A run that panicked left nothing behind that the next one does not set anew.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                let why = Diagnostic::new("cpu-busy", "the virtual CPU runs a program just now", Place::Nowhere);
                Err(why.help("make a virtual CPU for each thread").into())
            }
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_target_new(
    settings: *const alveary_settings,
    error: *mut *mut alveary_error,
) -> *mut alveary_target {
    // SAFETY: the settings, if any, and `error` are what the header says.
    unsafe {
        enter(error, std::ptr::null_mut(), || {
            let user = settings.as_ref().map_or_else(|| alveary_settings::default().build(), alveary_settings::build);
            Ok(Box::into_raw(Box::new(alveary_target { user })))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_target_trace(
    target: *const alveary_target,
    each: Option<unsafe extern "C" fn(*mut c_void, *const c_char)>,
    user: *mut c_void,
    error: *mut *mut alveary_error,
) -> i64 {
    // SAFETY: the handle, the callback and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            let target = given(target, "the target")?;
            let each = each.ok_or_else(|| Failure::null("the callback"))?;
            let (lines, lost) = target.user.runtime().trace().drain();
            for line in lines {
                each(user, string(&line.to_string()).as_ptr());
            }
            Ok(i64::try_from(lost).unwrap_or(i64::MAX))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_target_free(target: *mut alveary_target) {
    // SAFETY: NULL or a target that the caller gives up, as the header says.
    unsafe { free(target) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_cpu_new(
    target: *const alveary_target,
    number: u32,
    error: *mut *mut alveary_error,
) -> *mut alveary_cpu {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        enter(error, std::ptr::null_mut(), || {
            let cpu = Mutex::new(given(target, "the target")?.user.vcpu(number)?);
            Ok(Box::into_raw(Box::new(alveary_cpu { cpu })))
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_cpu_set_budget(
    cpu: *mut alveary_cpu,
    instructions: u64,
    error: *mut *mut alveary_error,
) -> c_int {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            given(cpu, "the CPU")?.take()?.set_budget(instructions);
            Ok(0)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_cpu_set_time(cpu: *mut alveary_cpu, ns: u64, error: *mut *mut alveary_error) -> c_int {
    // SAFETY: the handle and `error` are what the header says.
    unsafe {
        enter(error, -1, || {
            given(cpu, "the CPU")?.take()?.set_time(ns);
            Ok(0)
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_cpu_free(cpu: *mut alveary_cpu) {
    // SAFETY: NULL or a CPU that the caller gives up, as the header says.
    unsafe { free(cpu) };
}
