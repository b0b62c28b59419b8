//! Probes of kernel functions.

use super::{
    Link, Place, Program,
    explain::refused,
    perf::{self, Attr},
};
use crate::sys::{LinkCreate, LinkOptions, Target};
use alveary_abi::AttachType;
use alveary_diag::{Diagnostic, Place as At, did_you_mean};
use alveary_sort::Gather;
use std::{
    collections::BTreeSet,
    ffi::{CStr, CString},
    fs,
};

/// Of an event's configuration: the probe is at the return.
pub(super) const AT_RETURN: u64 = 1;
/// Of a link over many functions: likewise.
const MULTI_RETURN: u32 = 1;

/// What the functions of system calls begin with, on the machines that have such a prefix.
const SYSCALL_PREFIX: &str = if cfg!(target_arch = "x86_64") {
    "__x64_sys_"
} else if cfg!(target_arch = "aarch64") {
    "__arm64_sys_"
} else if cfg!(target_arch = "riscv64") {
    "__riscv_sys_"
} else {
    "sys_"
};

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    function: &str,
    offset: u64,
    ret: bool,
    cookie: u64,
) -> Result<Link, Diagnostic> {
    let name = c_name(function)?;
    let attr = Attr::probe(perf::probe_type("kprobe")?, if ret { AT_RETURN } else { 0 }, &name, offset);
    // SAFETY: the name ends in a zero, and lives until the call is over.
    let event = unsafe { perf::open(attr, -1, 0) }.map_err(|error| {
        let why = perf::failed(program, place, &error);
        if function_exists(function) { why } else { missing(why, function) }
    })?;
    perf::run_on(program, place, event, cookie)
}

pub(super) fn attach_syscall(
    program: Program<'_>,
    place: &Place<'_>,
    name: &str,
    ret: bool,
) -> Result<Link, Diagnostic> {
    attach(program, place, &format!("{SYSCALL_PREFIX}{name}"), 0, ret, 0)
}

pub(super) fn attach_many(
    program: Program<'_>,
    place: &Place<'_>,
    pattern: &str,
    ret: bool,
) -> Result<Link, Diagnostic> {
    let names = if pattern.contains(['*', '?']) { traceable(pattern) } else { BTreeSet::from([pattern.to_owned()]) };
    if names.is_empty() {
        return Err(Diagnostic::new("no-function", format!("no kernel function fits `{pattern}`"), At::Nowhere)
            .expected("one of those in /sys/kernel/tracing/available_filter_functions"));
    }
    let names = names.iter().map(|name| c_name(name)).collect::<Result<Vec<CString>, Diagnostic>>()?;
    let symbols: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
    let flags = if ret { MULTI_RETURN } else { 0 };
    let options = LinkOptions::KprobeMulti { flags, symbols: &symbols, addresses: &[], cookies: &[] };
    let ty = program.attach_type(AttachType::TRACE_KPROBE_MULTI);
    let create = LinkCreate { options, ..LinkCreate::new(program.fd, Target::None, ty) };
    let fd = create.create().map_err(|error| {
        let why = refused(program, place, &error);
        if pattern.contains(['*', '?']) || function_exists(pattern) { why } else { missing(why, pattern) }
    })?;
    Ok(Link::of_fd(place, fd))
}

/// Functions that can be traced and whose names fit.
fn traceable(pattern: &str) -> BTreeSet<String> {
    let list = perf::tracefs("available_filter_functions").unwrap_or_default();
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| fits(pattern, name)).map(str::to_owned).gather()
}

/// Whether a name fits a pattern: `*` stands for any text, `?` for any character.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    // Where to go on after the last `*`, should what follows it not fit.
    let (mut p, mut n, mut again) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                again = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star, from)) = again else { return false };
                again = Some((star, from + 1));
                (p, n) = (star, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

fn symbols() -> String {
    fs::read_to_string("/proc/kallsyms").unwrap_or_default()
}

fn function_exists(name: &str) -> bool {
    symbols().lines().any(|line| line.split_whitespace().nth(2) == Some(name))
}

fn missing(why: Diagnostic, function: &str) -> Diagnostic {
    let symbols = symbols();
    let alike = |name: &&str| name.len().abs_diff(function.len()) <= 2 && name.get(..2) == function.get(..2);
    let names = symbols.lines().filter_map(|line| line.split_whitespace().nth(2));
    let why = why.note(format!("this kernel has no function `{function}`: it may be inlined, or have another name"));
    match did_you_mean(function, names.filter(alike)) {
        Some(near) => why.help(format!("did you mean `{near}`?")),
        None => why,
    }
}

fn c_name(name: &str) -> Result<CString, Diagnostic> {
    CString::new(name).map_err(|_| Diagnostic::new("no-function", "a function's name holds a zero byte", At::Nowhere))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("tcp_*", "tcp_connect", true),
            ("tcp_*", "udp_connect", false),
            ("*_connect", "tcp_v4_connect", true),
            ("*a*b", "xaybzb", true),
            ("*a*b", "xaybz", false),
            ("t?p", "tcp", true),
            ("t?p", "tp", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
