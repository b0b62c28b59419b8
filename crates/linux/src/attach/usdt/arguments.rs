//! Where a probe's arguments are: from the assembler's words (`-4@%edi`, `8@-8(%rbp)`, `4@$5`) to the struct that
//! `usdt.bpf.h` reads. Its layout is a contract between libbpf's header and whoever attaches.

use alveary_diag::{Diagnostic, Place as At};

/// A probe has no more arguments.
const MOST: usize = 12;
const ARGUMENT: usize = 16;
/// Behind the arguments: a cookie, the number of arguments, and bytes that nobody reads.
const COOKIE: usize = MOST * ARGUMENT;
const COUNT: usize = COOKIE + 8;
const UNREAD: usize = COUNT + 4;
const SPEC: usize = COOKIE + 16;

/// Where an argument is (`enum __bpf_usdt_arg_type`).
#[derive(Debug, PartialEq, Eq)]
enum Where {
    Constant(i64),
    /// A register, by its place in `struct pt_regs`.
    Register(u16),
    /// The memory behind a register, so many bytes on.
    Memory(u16, i64),
    /// Likewise, with a second register, shifted.
    Indexed {
        base: u16,
        index: u16,
        shift: u8,
        offset: i64,
    },
}

/// `struct __bpf_usdt_spec` of a probe.
pub(super) fn spec(arguments: &str, cookie: u64) -> Result<Vec<u8>, Diagnostic> {
    let words = split(arguments);
    if words.len() > MOST {
        return Err(Diagnostic::new("usdt-arguments", "a probe has too many arguments", At::Nowhere)
            .expected(format!("at most {MOST}"))
            .found(words.len().to_string()));
    }
    let mut bytes = vec![0; SPEC];
    for (place, word) in bytes.chunks_exact_mut(ARGUMENT).zip(&words) {
        let argument = argument(word).ok_or_else(|| {
            Diagnostic::new(
                "usdt-arguments",
                format!("the argument `{word}` of a probe is not understood"),
                At::Nowhere,
            )
            .expected("SIZE@ and a constant, a register, or memory by a register")
        })?;
        place.copy_from_slice(&argument);
    }
    bytes[COOKIE..COUNT].copy_from_slice(&cookie.to_ne_bytes());
    bytes[COUNT..COUNT + 2].copy_from_slice(&(words.len() as u16).to_ne_bytes());
    // A description without arguments shall differ from a place that is free.
    bytes[UNREAD] = 1;
    Ok(bytes)
}

/// The arguments, one by one: blanks inside brackets divide nothing.
fn split(arguments: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0;
    for c in arguments.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if c == ' ' && depth <= 0 {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `struct __bpf_usdt_arg_spec`.
fn argument(word: &str) -> Option<[u8; ARGUMENT]> {
    let (size, place) = word.split_once('@')?;
    // `8f` is a floating point number: its bits are given.
    let size: i8 = size.trim_end_matches('f').parse().ok()?;
    let bits = matches!(size.unsigned_abs(), 1 | 2 | 4 | 8).then(|| size.unsigned_abs() * 8)?;
    let place = machine::place(place)?;
    let (ty, value, register, index, shift) = match place {
        Where::Constant(value) => (0u8, value, 0, 0, 0),
        Where::Register(register) => (1, 0, register, 0, 0),
        Where::Memory(register, offset) => (2, offset, register, 0, 0),
        Where::Indexed { base, index, shift, offset } => (3, offset, base, index, shift),
    };
    let mut bytes = [0; ARGUMENT];
    bytes[..8].copy_from_slice(&value.to_ne_bytes());
    // A word of bit fields: the kind in 8 bits, the index register in 12, its shift in 4.
    let packed = u32::from(ty) | u32::from(index & 0xfff) << 8 | u32::from(shift & 0xf) << 20;
    bytes[8..12].copy_from_slice(&packed.to_ne_bytes());
    bytes[12..14].copy_from_slice(&register.to_ne_bytes());
    bytes[14] = u8::from(size < 0);
    bytes[15] = 64 - bits;
    Some(bytes)
}

fn number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(sign * value)
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use super::{Where, number};

    /// Registers by their names at each width, in the order of `struct pt_regs`.
    const REGISTERS: [&[&str]; 15] = [
        &["r15", "r15d", "r15w", "r15b"],
        &["r14", "r14d", "r14w", "r14b"],
        &["r13", "r13d", "r13w", "r13b"],
        &["r12", "r12d", "r12w", "r12b"],
        &["rbp", "ebp", "bp", "bpl"],
        &["rbx", "ebx", "bx", "bl"],
        &["r11", "r11d", "r11w", "r11b"],
        &["r10", "r10d", "r10w", "r10b"],
        &["r9", "r9d", "r9w", "r9b"],
        &["r8", "r8d", "r8w", "r8b"],
        &["rax", "eax", "ax", "al"],
        &["rcx", "ecx", "cx", "cl"],
        &["rdx", "edx", "dx", "dl"],
        &["rsi", "esi", "si", "sil"],
        &["rdi", "edi", "di", "dil"],
    ];
    const IP: u16 = 16 * 8;
    const SP: u16 = 19 * 8;

    fn register(name: &str) -> Option<u16> {
        let name = name.strip_prefix('%')?;
        match name {
            "rip" => return Some(IP),
            "rsp" | "esp" | "sp" | "spl" => return Some(SP),
            _ => {}
        }
        REGISTERS.iter().position(|names| names.contains(&name)).map(|at| at as u16 * 8)
    }

    pub(super) fn place(text: &str) -> Option<Where> {
        if let Some(constant) = text.strip_prefix('$') {
            return number(constant).map(Where::Constant);
        }
        let Some((offset, inside)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) else {
            return register(text).map(Where::Register);
        };
        let offset = if offset.is_empty() { 0 } else { number(offset)? };
        let parts: Vec<&str> = inside.split(',').collect();
        match parts[..] {
            [base] => Some(Where::Memory(register(base)?, offset)),
            [base, index] => Some(Where::Indexed { base: register(base)?, index: register(index)?, shift: 0, offset }),
            [base, index, scale] => {
                let shift = ["1", "2", "4", "8"].iter().position(|known| *known == scale)? as u8;
                Some(Where::Indexed { base: register(base)?, index: register(index)?, shift, offset })
            }
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) const CASES: &[(&str, Where)] = &[
        ("$5", Where::Constant(5)),
        ("$-9", Where::Constant(-9)),
        ("%edi", Where::Register(14 * 8)),
        ("%r15", Where::Register(0)),
        ("%rsp", Where::Register(19 * 8)),
        ("-8(%rbp)", Where::Memory(4 * 8, -8)),
        ("(%rax)", Where::Memory(10 * 8, 0)),
        ("16(%rax,%rbx,8)", Where::Indexed { base: 10 * 8, index: 5 * 8, shift: 3, offset: 16 }),
    ];
}

#[cfg(target_arch = "aarch64")]
mod machine {
    use super::{Where, number};

    const SP: u16 = 31 * 8;

    fn register(name: &str) -> Option<u16> {
        if name == "sp" {
            return Some(SP);
        }
        let number: u16 = name.strip_prefix(['x', 'w'])?.parse().ok()?;
        (number < 31).then_some(number * 8)
    }

    pub(super) fn place(text: &str) -> Option<Where> {
        let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
            return register(text).map(Where::Register).or_else(|| number(text).map(Where::Constant));
        };
        match inside.split_once(',') {
            Some((base, offset)) => Some(Where::Memory(register(base.trim())?, number(offset.trim())?)),
            None => Some(Where::Memory(register(inside.trim())?, 0)),
        }
    }

    #[cfg(test)]
    pub(super) const CASES: &[(&str, Where)] = &[
        ("5", Where::Constant(5)),
        ("x0", Where::Register(0)),
        ("w19", Where::Register(19 * 8)),
        ("[sp]", Where::Memory(31 * 8, 0)),
        ("[x2, -16]", Where::Memory(16, -16)),
    ];
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod machine {
    use super::Where;

    pub(super) fn place(_: &str) -> Option<Where> {
        None
    }

    #[cfg(test)]
    pub(super) const CASES: &[(&str, Where)] = &[];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_this_machine() {
        for (text, expected) in machine::CASES {
            assert_eq!(machine::place(text).as_ref(), Some(expected), "{text}");
        }
        assert_eq!(machine::place("%xmm0"), None);
    }

    #[test]
    fn blanks_in_brackets_divide_nothing() {
        assert_eq!(split("8@[sp, 16] -4@w0"), ["8@[sp, 16]", "-4@w0"]);
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_spec_is_what_usdt_bpf_h_reads() {
        let spec = spec("-4@%edi 8@-8(%rbp)", 7).expect("two arguments");
        assert_eq!(spec.len(), 208);
        assert_eq!(spec[8], 1, "a register");
        assert_eq!(spec[12..14], 112u16.to_ne_bytes(), "rdi");
        assert_eq!((spec[14], spec[15]), (1, 32), "signed, 32 bits");
        assert_eq!(spec[16..24], (-8i64).to_ne_bytes());
        assert_eq!(spec[24], 2, "memory");
        assert_eq!(spec[192..200], 7u64.to_ne_bytes());
        assert_eq!(spec[200..202], 2u16.to_ne_bytes());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in ["8", "3@$1", "8@%nothing", "x@$1"] {
            assert!(spec(text, 0).is_err(), "{text}");
        }
    }
}
