//! A kernel's configuration: its file, and its values as an object declares them (`__kconfig`).

use alveary_abi::{HelperId, Version};
use alveary_btf::{Btf, Type, TypeId};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_isa::Endian;
use alveary_spec::{Extern, Kernel};
use std::collections::BTreeMap;

/// The first kernel whose system calls take their arguments from a `pt_regs`.
const SYSCALL_WRAPPER: Version = Version(4, 17);

/// Reads a configuration file (`CONFIG_HZ=250`, a line each); `file` is its name for people. Values stay as they are
/// written, strings in their quotes.
///
/// # Errors
/// A line that sets an option to nothing.
pub fn parse_kconfig(file: &str, text: &str) -> Result<BTreeMap<String, String>, Diagnostic> {
    let mut all = BTreeMap::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let bytes = at as u32..(at + line.trim_end().len()) as u32;
        at += line.len();
        if !trimmed.starts_with("CONFIG_") {
            continue;
        }
        match trimmed.split_once('=') {
            // The first of several counts, as with libbpf.
            Some((name, value)) if !value.is_empty() => {
                all.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
            _ => {
                let place = Place::Text { file: file.into(), text: text.into(), bytes };
                return Err(Diagnostic::new("kconfig", "an option of the kernel without a value", place)
                    .expected("`CONFIG_NAME=value`")
                    .found(format!("`{}`", trimmed.chars().take(80).collect::<String>())));
            }
        }
    }
    Ok(all)
}

/// What is wrong with a value: in words, and what helps.
#[derive(Clone, Debug)]
pub(crate) struct BadValue {
    pub(crate) message: String,
    pub(crate) help: String,
}

/// The bytes of a value, as the object declares it.
pub(crate) fn value(name: &str, one: &Extern, btf: &Btf, kernel: &Kernel, endian: Endian) -> Result<Vec<u8>, BadValue> {
    let zeros = || vec![0; btf.size_of(one.ty).unwrap_or(0) as usize];
    let bad = |message: String, help: &str| BadValue { message, help: help.to_owned() };
    let form = Form::of(btf, one.ty).ok_or_else(|| {
        let message = format!("`{name}` is declared as `{}`, which no option of a kernel is", btf.c_name(one.ty));
        bad(message, "declare it as bool, enum libbpf_tristate, an integer, char or an array of char")
    })?;
    let text = match made_up(name, kernel) {
        Some(number) => number.to_string(),
        None => match kernel.kconfig.get(name) {
            Some(text) => text.clone(),
            None if one.weak => return Ok(zeros()),
            None if !name.starts_with("CONFIG_") => {
                let message = format!("no kernel and no loader has a value `{name}`");
                return Err(bad(message, "options of the kernel begin with `CONFIG_`"));
            }
            None if kernel.kconfig.is_empty() => {
                let message = format!("the program needs `{name}`, and the kernel's configuration is not known");
                return Err(bad(
                    message,
                    "give the configuration: `--kconfig FILE`, in Rust `User::builder().kconfig(…)`",
                ));
            }
            None => {
                let message = format!("the program needs `{name}`, which the kernel's configuration does not set");
                let near = did_you_mean(name, kernel.kconfig.keys().map(String::as_str));
                let weak = "declare it `__weak` where it may be missing: it is zero then".to_owned();
                return Err(bad(message, &near.map_or(weak, |near| format!("did you mean `{near}`?"))));
            }
        },
    };
    form.bytes(&text, endian).ok_or_else(|| {
        let message = format!("`{name}` is `{text}` in the kernel's configuration, which is no {}", form.words());
        bad(message, "declare it as what it is")
    })
}

/// Whether there is a value of this name.
pub(crate) fn known(name: &str, kernel: &Kernel) -> bool {
    made_up(name, kernel).is_some() || kernel.kconfig.contains_key(name)
}

/// Values that come from no file.
fn made_up(name: &str, kernel: &Kernel) -> Option<u64> {
    let profile = &kernel.profile;
    match name {
        "LINUX_KERNEL_VERSION" => {
            let Version(major, minor) = profile.version;
            Some(u64::from(major) << 16 | u64::from(minor) << 8 | u64::from(profile.patch()))
        }
        "LINUX_HAS_BPF_COOKIE" => Some(profile.helper(HelperId::GET_ATTACH_COOKIE).is_some().into()),
        "LINUX_HAS_SYSCALL_WRAPPER" => Some((profile.version >= SYSCALL_WRAPPER).into()),
        _ => None,
    }
}

/// The types that a value may have.
enum Form {
    Bool,
    Tristate { size: u32 },
    Char { signed: bool },
    Int { size: u32, signed: bool },
    Text { len: u32 },
}

impl Form {
    fn of(btf: &Btf, ty: TypeId) -> Option<Form> {
        match btf.resolved(ty) {
            Type::Int(t) if t.bool => (t.size == 1).then_some(Form::Bool),
            Type::Int(t) if t.size == 1 => Some(Form::Char { signed: t.signed }),
            Type::Int(t) => matches!(t.size, 2 | 4 | 8).then_some(Form::Int { size: t.size, signed: t.signed }),
            Type::Enum(t) | Type::Enum64(t) if t.name == "libbpf_tristate" => Some(Form::Tristate { size: t.size }),
            Type::Array(t) if t.len > 0 => {
                let char = matches!(btf.resolved(t.element), Type::Int(t) if t.size == 1 && !t.bool);
                char.then_some(Form::Text { len: t.len })
            }
            _ => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Form::Bool => "truth value".to_owned(),
            Form::Tristate { .. } => "`y`, `m` or `n`".to_owned(),
            Form::Char { .. } => "character".to_owned(),
            Form::Int { size, signed: true } => format!("signed number of {size} bytes"),
            Form::Int { size, signed: false } => format!("unsigned number of {size} bytes"),
            Form::Text { .. } => "text in quotes".to_owned(),
        }
    }

    fn bytes(&self, text: &str, endian: Endian) -> Option<Vec<u8>> {
        let made = |number: u64, size: u32| {
            let size = size as usize;
            Some(match endian {
                Endian::Little => number.to_le_bytes().get(..size)?.to_vec(),
                Endian::Big => number.to_be_bytes().get(8 - size..)?.to_vec(),
            })
        };
        match (self, text) {
            (Form::Bool, "y" | "1") => made(1, 1),
            (Form::Bool, "n" | "0") => made(0, 1),
            (Form::Tristate { size }, "n") => made(0, *size),
            (Form::Tristate { size }, "y") => made(1, *size),
            (Form::Tristate { size }, "m") => made(2, *size),
            (Form::Char { .. }, "y" | "m" | "n") => Some(text.as_bytes().to_vec()),
            (Form::Char { signed }, _) => made(fitting(text, 1, *signed)?, 1),
            (Form::Int { size, signed }, _) => made(fitting(text, *size, *signed)?, *size),
            (Form::Text { len }, _) => {
                let inner = text.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
                // What does not fit is left out, as with libbpf; a zero always ends it.
                let mut bytes = inner[..inner.len().min(*len as usize - 1)].to_vec();
                bytes.resize(*len as usize, 0);
                Some(bytes)
            }
            (Form::Bool | Form::Tristate { .. }, _) => None,
        }
    }
}

/// A number as C writes it, if so many bytes hold it.
fn fitting(text: &str, size: u32, signed: bool) -> Option<u64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8).ok()?,
        None => digits.parse().ok()?,
    };
    let number = if negative { -i128::from(number) } else { i128::from(number) };
    let bits = 8 * size;
    // An unsigned 8-byte number may be meant by a signed declaration, and the other way round.
    let (least, most) = match (signed, size) {
        (_, 8) => (i128::from(i64::MIN), i128::from(u64::MAX)),
        (true, _) => (-1 << (bits - 1), (1 << (bits - 1)) - 1),
        (false, _) => (0, (1 << bits) - 1),
    };
    (least..=most).contains(&number).then_some(number as u64)
}
