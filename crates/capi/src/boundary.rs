//! The way in and out of each function: NULL and bad text become errors, and so does a panic.

use crate::error::{Failure, alveary_error};
use std::{
    any::Any,
    ffi::{CStr, c_char},
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

/// Runs a function's body. A failure goes to `error`, unless an earlier one stands there, and `failed` to the caller.
///
/// # Safety
/// `error` is NULL, or points to NULL or to an error.
pub(crate) unsafe fn enter<R>(
    error: *mut *mut alveary_error,
    failed: R,
    body: impl FnOnce() -> Result<R, Failure>,
) -> R {
    // What a panic leaves half done are values of this call: shared ones are behind locks and atomics.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Failure::panicked(&said(&*panic))));
    result.unwrap_or_else(|failure| {
        // SAFETY: the caller's promise.
        if let Some(error) = unsafe { error.as_mut() }
            && error.is_null()
        {
            *error = failure.into_handle();
        }
        failed
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// A handle or struct of the caller's.
///
/// # Safety
/// `pointer` is NULL, or what its type says, for `'a`.
pub(crate) unsafe fn given<'a, T>(pointer: *const T, what: &'static str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::null(what))
}

/// A struct of the caller's to be changed.
///
/// # Safety
/// `pointer` is NULL, or what its type says and nobody else's, for `'a`.
pub(crate) unsafe fn given_mut<'a, T>(pointer: *mut T, what: &'static str) -> Result<&'a mut T, Failure> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or_else(|| Failure::null(what))
}

/// A string.
///
/// # Safety
/// `pointer` is NULL, or ends with NUL and does not change, for `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &'static str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(Failure::null(what));
    }
    // SAFETY: not NULL; otherwise the caller's promise.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map_err(|_| Failure::wrong(format!("{what} is not UTF-8"), "text in UTF-8", bytes.to_string_lossy()))
}

/// Bytes. NULL stands for none.
///
/// # Safety
/// `pointer` is NULL, or as many bytes that do not change, for `'a`.
pub(crate) unsafe fn bytes<'a>(
    pointer: *const std::ffi::c_void,
    len: usize,
    what: &'static str,
) -> Result<&'a [u8], Failure> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Failure::null(what)),
        // More than that is no length of anything; a negative number was passed.
        (false, len) if isize::try_from(len).is_err() => {
            Err(Failure::wrong(format!("{what} cannot be that long"), "a length", format!("{len} bytes")))
        }
        // SAFETY: not NULL, and a possible length; otherwise the caller's promise.
        (false, len) => Ok(unsafe { slice::from_raw_parts(pointer.cast(), len) }),
    }
}

/// Copies `from` to the caller's place of `len` bytes, as much as fits.
///
/// # Safety
/// `to` is NULL, or a place for `len` bytes.
pub(crate) unsafe fn copy_out(from: &[u8], to: *mut std::ffi::c_void, len: usize) {
    if !to.is_null() {
        // SAFETY: the place is there for `len` bytes; it is the caller's, `from` is ours.
        unsafe { std::ptr::copy(from.as_ptr(), to.cast(), from.len().min(len)) };
    }
}

/// Ends a handle. NULL does nothing.
///
/// # Safety
/// `handle` is NULL, or came from `Box::into_raw` and is not used again.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the caller's promise.
        let boxed = unsafe { Box::from_raw(handle) };
        // A value that cannot be dropped is lost: there is nobody to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(boxed)));
    }
}
