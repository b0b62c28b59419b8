//! Where a program goes, and how section names say it (`uprobe//bin/sh:main+4`).
//!
//! Names, not numbers: a target finds them. Source of the grammar: libbpf 1.6, as its users know it.

use alveary_abi::{SectionMatch, SectionRest};
use std::fmt;

/// Where a program goes, as the section name or the user says it.
///
/// What the program's expected attach type says already (that a probe is a session's, that a function is entered or
/// left) is not said again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attach {
    /// A network device, before the packet gets its `sk_buff`.
    Xdp {
        /// Name of the device.
        dev: String,
        /// Which implementation.
        mode: XdpMode,
    },
    /// An instruction of a kernel function, or its return.
    Kprobe {
        /// Name of the function.
        function: String,
        /// Bytes behind its start.
        offset: u64,
        /// The return, not the instruction.
        ret: bool,
    },
    /// The kernel functions whose names fit a pattern (`tcp_*`).
    KprobeMulti {
        /// The pattern: `*` stands for any text, `?` for any character.
        pattern: String,
        /// Their returns, not their entries.
        ret: bool,
    },
    /// A system call, whatever its function is called on this machine.
    Ksyscall {
        /// Its name (`unlinkat`).
        name: String,
        /// Its return, not its entry.
        ret: bool,
    },
    /// An instruction of a function in a file, or its return.
    Uprobe {
        /// The file, or a library's name without a folder.
        path: String,
        /// Name of the function.
        function: String,
        /// Bytes behind its start.
        offset: u64,
        /// The return, not the instruction.
        ret: bool,
    },
    /// The functions of a file whose names fit a pattern.
    UprobeMulti {
        /// The file, or a library's name without a folder.
        path: String,
        /// The pattern: `*` stands for any text, `?` for any character.
        pattern: String,
        /// Their returns, not their entries.
        ret: bool,
    },
    /// A probe that a program's author put into it (USDT).
    Usdt {
        /// The file, or a library's name without a folder.
        path: String,
        /// Who defines the probe (`libc`).
        provider: String,
        /// Name of the probe.
        name: String,
    },
    /// A tracepoint, with its arguments as its format file describes them.
    Tracepoint {
        /// Its category (`syscalls`).
        category: String,
        /// Its name (`sys_enter_openat`).
        name: String,
    },
    /// A tracepoint, with its bare arguments.
    RawTracepoint {
        /// Its name (`sched_switch`).
        name: String,
    },
    /// A function, tracepoint or security hook that the kernel's BTF describes; which of them, the program's type and
    /// expected attach type tell.
    Btf {
        /// The module that has it; without one, the kernel and any module.
        module: Option<String>,
        /// Its name, as a section says it: without `bpf_lsm_` or `btf_trace_`.
        name: String,
    },
    /// An iterator over the kernel's objects.
    Iter {
        /// What it walks (`task`, `bpf_map_elem`).
        name: String,
    },
    /// A function of another program, which is replaced.
    Replace {
        /// Its name.
        function: String,
    },
    /// What stands behind the `/` of a section name that an embedder has brought, or that only describes.
    Target(String),
    /// What stands behind the `/` of a section name and is not what belongs there. The program can be loaded, and
    /// attached by one who says where.
    Malformed {
        /// What stands there.
        text: String,
        /// What belongs there.
        expected: &'static str,
    },
}

/// How XDP is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum XdpMode {
    Any,
    Native,
    Generic,
    Offload,
}

impl Attach {
    /// What a section name says; `None` if it does not say where its programs go.
    #[must_use]
    pub fn of_section(section: SectionMatch<'_, '_>) -> Option<Attach> {
        let text = section.rest.filter(|rest| !rest.is_empty())?;
        let syntax = section.row.rest;
        if matches!(syntax, SectionRest::Nothing | SectionRest::Comment) {
            return None;
        }
        let malformed = |expected| Attach::Malformed { text: text.to_owned(), expected };
        Some(Attach::parse(syntax, section.row.ret, text).unwrap_or_else(malformed))
    }

    /// The place that `text` names.
    ///
    /// # Errors
    /// What belongs there instead.
    pub fn parse(syntax: SectionRest, ret: bool, text: &str) -> Result<Attach, &'static str> {
        let path =
            |expected| text.split_once(':').filter(|(path, rest)| !path.is_empty() && !rest.is_empty()).ok_or(expected);
        Ok(match syntax {
            SectionRest::Nothing | SectionRest::Comment => return Err("nothing"),
            SectionRest::Target => Attach::Target(text.to_owned()),
            SectionRest::Kprobe => {
                let (function, offset) = offset(text, ret)
                    .filter(|(function, _)| is_name(function, "._"))
                    .ok_or(if ret { "`FUNCTION`, without an offset" } else { "`FUNCTION` or `FUNCTION+OFFSET`" })?;
                Attach::Kprobe { function, offset, ret }
            }
            SectionRest::KprobeMulti if is_name(text, "._*?") => Attach::KprobeMulti { pattern: text.to_owned(), ret },
            SectionRest::KprobeMulti => return Err("a pattern of letters, digits, `_`, `.`, `*` and `?`"),
            SectionRest::Ksyscall if is_name(text, "_") => Attach::Ksyscall { name: text.to_owned(), ret },
            SectionRest::Ksyscall => return Err("the name of a system call"),
            SectionRest::Uprobe => {
                let expected = if ret {
                    "`PATH:FUNCTION`, without an offset"
                } else {
                    "`PATH:FUNCTION` or `PATH:FUNCTION+OFFSET`"
                };
                let (path, place) = path(expected)?;
                let (function, offset) = offset(place, ret).ok_or(expected)?;
                Attach::Uprobe { path: path.to_owned(), function, offset, ret }
            }
            SectionRest::UprobeMulti => {
                let (path, pattern) = path("`PATH:PATTERN`")?;
                Attach::UprobeMulti { path: path.to_owned(), pattern: pattern.to_owned(), ret }
            }
            SectionRest::Usdt => {
                let parts: Vec<&str> = text.split(':').collect();
                match parts[..] {
                    [path, provider, name] if parts.iter().all(|part| !part.is_empty()) => {
                        Attach::Usdt { path: path.to_owned(), provider: provider.to_owned(), name: name.to_owned() }
                    }
                    _ => return Err("`PATH:PROVIDER:NAME`"),
                }
            }
            SectionRest::Tracepoint => match text.split_once('/') {
                Some((category, name)) if !category.is_empty() && is_name(name, "_") => {
                    Attach::Tracepoint { category: category.to_owned(), name: name.to_owned() }
                }
                _ => return Err("`CATEGORY/NAME`"),
            },
            SectionRest::RawTracepoint if is_name(text, "_") => Attach::RawTracepoint { name: text.to_owned() },
            SectionRest::RawTracepoint => return Err("the name of a tracepoint"),
            SectionRest::Btf => match text.split_once(':') {
                Some((module, name)) if !module.is_empty() && !name.is_empty() => {
                    Attach::Btf { module: Some(module.to_owned()), name: name.to_owned() }
                }
                Some(_) => return Err("`NAME` or `MODULE:NAME`"),
                None => Attach::Btf { module: None, name: text.to_owned() },
            },
            SectionRest::Iter => Attach::Iter { name: text.to_owned() },
            SectionRest::Replace => Attach::Replace { function: text.to_owned() },
        })
    }
}

/// As it stands behind the `/` of a section name.
impl fmt::Display for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset =
            |f: &mut fmt::Formatter<'_>, offset: &u64| if *offset == 0 { Ok(()) } else { write!(f, "+{offset:#x}") };
        match self {
            Attach::Xdp { dev: text, .. }
            | Attach::KprobeMulti { pattern: text, .. }
            | Attach::Ksyscall { name: text, .. }
            | Attach::RawTracepoint { name: text }
            | Attach::Btf { module: None, name: text }
            | Attach::Iter { name: text }
            | Attach::Replace { function: text }
            | Attach::Target(text)
            | Attach::Malformed { text, .. } => f.write_str(text),
            Attach::Kprobe { function, offset: at, .. } => {
                f.write_str(function)?;
                offset(f, at)
            }
            Attach::Uprobe { path, function, offset: at, .. } => {
                write!(f, "{path}:{function}")?;
                offset(f, at)
            }
            Attach::UprobeMulti { path, pattern, .. } => write!(f, "{path}:{pattern}"),
            Attach::Usdt { path, provider, name } => write!(f, "{path}:{provider}:{name}"),
            Attach::Tracepoint { category, name } => write!(f, "{category}/{name}"),
            Attach::Btf { module: Some(module), name } => write!(f, "{module}:{name}"),
        }
    }
}

/// A function and the bytes behind its start. Returns have no offset.
fn offset(text: &str, ret: bool) -> Option<(String, u64)> {
    let (function, offset) = match text.rsplit_once('+') {
        Some((function, offset)) => (function, number(offset)?),
        None => (text, 0),
    };
    let fits = !function.is_empty() && (offset == 0 || !ret);
    fits.then(|| (function.to_owned(), offset))
}

/// A number as C writes it.
fn number(text: &str) -> Option<u64> {
    let digits = |digits: &str, base| {
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, base).ok()).flatten()
    };
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => digits(hex, 16),
        None if text.len() > 1 && text.starts_with('0') => digits(text, 8),
        None => digits(text, 10),
    }
}

fn is_name(text: &str, others: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

#[cfg(test)]
mod tests;
