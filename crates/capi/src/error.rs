//! `alveary_error`: a diagnostic with its strings as C reads them.

use crate::boundary::free;
use alveary::{
    Kind,
    diag::{Diagnostic, Place},
};
use std::ffi::{CString, c_char};

/// What went wrong. Opaque to C.
pub(crate) struct alveary_error {
    message: CString,
    code: CString,
    kind: CString,
    help: Vec<CString>,
}

/// What went wrong, on its way to the caller.
pub(crate) struct Failure {
    all: Vec<Diagnostic>,
    /// What the library calls it; nothing if the call itself is wrong.
    kind: Option<Kind>,
}

impl Failure {
    /// A pointer that must not be NULL is.
    pub(crate) fn null(what: &'static str) -> Failure {
        let why = Diagnostic::new("null", format!("{what} is NULL"), Place::Nowhere);
        why.help("look at the error of the call that should have given it").into()
    }

    /// An argument is not what it should be.
    pub(crate) fn wrong(message: String, expected: impl Into<String>, found: impl Into<String>) -> Failure {
        Diagnostic::new("argument", message, Place::Nowhere).expected(expected).found(found).into()
    }

    /// A run was stopped.
    pub(crate) fn trap(why: Diagnostic) -> Failure {
        Failure { all: vec![why], kind: Some(Kind::Trap) }
    }

    /// We are wrong.
    pub(crate) fn panicked(said: &str) -> Failure {
        let why = Diagnostic::new("internal", format!("an error in Alveary itself: {said}"), Place::Nowhere);
        why.help("please report it, with the object and the input").into()
    }

    /// For the caller to free.
    pub(crate) fn into_handle(self) -> *mut alveary_error {
        let Failure { all, kind } = self;
        let message: Vec<String> = all.iter().map(|why| why.to_string().replace('\n', " ")).collect();
        Box::into_raw(Box::new(alveary_error {
            message: string(&message.join("; ")),
            code: string(all.first().map_or("", |why| why.code.0)),
            kind: string(kind.map_or("", Kind::name)),
            help: all.iter().flat_map(|why| &why.help).map(|line| string(line)).collect(),
        }))
    }
}

impl From<Diagnostic> for Failure {
    fn from(why: Diagnostic) -> Failure {
        Failure { all: vec![why], kind: None }
    }
}

impl From<alveary::Error> for Failure {
    fn from(error: alveary::Error) -> Failure {
        Failure { all: error.diagnostics().cloned().collect(), kind: Some(error.kind()) }
    }
}

/// A string for C: a NUL inside, which only hostile names have, is shown.
pub(crate) fn string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{2400}")).unwrap_or_default()
}

const EMPTY: *const c_char = c"".as_ptr();

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_error_message(error: *const alveary_error) -> *const c_char {
    // SAFETY: NULL or an error, as the header says.
    unsafe { error.as_ref() }.map_or(EMPTY, |error| error.message.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_error_code(error: *const alveary_error) -> *const c_char {
    // SAFETY: NULL or an error, as the header says.
    unsafe { error.as_ref() }.map_or(EMPTY, |error| error.code.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_error_kind(error: *const alveary_error) -> *const c_char {
    // SAFETY: NULL or an error, as the header says.
    unsafe { error.as_ref() }.map_or(EMPTY, |error| error.kind.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_error_help(error: *const alveary_error, index: usize) -> *const c_char {
    // SAFETY: NULL or an error, as the header says.
    let error = unsafe { error.as_ref() };
    error.and_then(|error| error.help.get(index)).map_or(std::ptr::null(), |line| line.as_ptr())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn alveary_error_free(error: *mut alveary_error) {
    // SAFETY: NULL or an error that the caller gives up, as the header says.
    unsafe { free(error) };
}
