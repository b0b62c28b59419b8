//! Machine code as text, instruction by instruction. Knows x86-64 and 64-bit ARM; nothing of programs.

use alveary_diag::{Diagnostic, Place};
use std::env::consts::ARCH;

/// An instruction of a machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// Where it begins among the bytes.
    pub(crate) at: usize,
    pub(crate) len: usize,
    pub(crate) operation: String,
    /// Its operands, separated by commas; empty if there are none.
    pub(crate) operands: String,
}

/// How the code of a machine is read: the bytes of a function, and the address where they stand.
pub(crate) type Reader = fn(&[u8], u64) -> Vec<Instruction>;

/// Those of this build: nobody else's code is read, and the binary has no room for what nobody asks for.
const READERS: &[(&str, Reader)] = &[
    #[cfg(any(test, target_arch = "x86_64"))]
    ("x86_64", x86_64),
    #[cfg(any(test, target_arch = "aarch64"))]
    ("aarch64", aarch64),
];

/// The reader for this machine's code.
///
/// # Errors
/// There is none.
pub(crate) fn reader() -> Result<Reader, Diagnostic> {
    READERS.iter().find(|(name, _)| *name == ARCH).map(|(_, reader)| *reader).ok_or_else(|| {
        let message = format!("machine code of {ARCH} cannot be shown as text");
        Diagnostic::new("machine", message, Place::Nowhere).expected("x86_64 or aarch64")
    })
}

impl Instruction {
    /// As on a line of a listing.
    pub(crate) fn text(&self) -> String {
        if self.operands.is_empty() {
            self.operation.clone()
        } else {
            format!("{:6} {}", self.operation, self.operands)
        }
    }

    /// The operands one by one: commas inside brackets separate nothing.
    pub(crate) fn operands(&self) -> Vec<&str> {
        let mut depth = 0;
        let outside = |c: char| {
            depth += match c {
                '(' | '[' | '{' => 1,
                ')' | ']' | '}' => -1,
                _ => 0,
            };
            c == ',' && depth == 0
        };
        self.operands.split(outside).map(str::trim).filter(|operand| !operand.is_empty()).collect()
    }
}

#[cfg(any(test, target_arch = "x86_64", target_arch = "aarch64"))]
fn instruction(at: usize, len: usize, text: &str) -> Instruction {
    let (operation, operands) = text.split_once(' ').unwrap_or((text, ""));
    Instruction { at, len, operation: operation.to_owned(), operands: operands.trim().to_owned() }
}

/// In the notation of the GNU tools.
#[cfg(any(test, target_arch = "x86_64"))]
fn x86_64(bytes: &[u8], address: u64) -> Vec<Instruction> {
    use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter};

    let mut formatter = GasFormatter::new();
    let options = formatter.options_mut();
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_branch_leading_zeros(false);
    options.set_show_zero_displacements(true);
    let mut text = String::new();
    let decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    decoder
        .into_iter()
        .map(|found| {
            text.clear();
            formatter.format(&found, &mut text);
            instruction(found.ip().wrapping_sub(address) as usize, found.len(), &text)
        })
        .collect()
}

#[cfg(any(test, target_arch = "aarch64"))]
fn aarch64(bytes: &[u8], _: u64) -> Vec<Instruction> {
    use yaxpeax_arch::{Decoder as _, U8Reader};
    use yaxpeax_arm::armv8::a64::InstDecoder;

    let decoder = InstDecoder::default();
    let words = bytes.as_chunks::<4>().0.iter().zip((0..).step_by(4));
    words
        .map(|(word, at)| match decoder.decode(&mut U8Reader::new(word)) {
            Ok(found) => instruction(at, word.len(), &found.to_string()),
            // Constants between the code are none of its instructions.
            Err(_) => instruction(at, word.len(), &format!(".word {:#010x}", u32::from_le_bytes(*word))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(reader: Reader, bytes: &[u8]) -> Vec<(usize, String)> {
        reader(bytes, 0x1000).iter().map(|found| (found.at, found.text())).collect()
    }

    #[test]
    fn code_for_x86() {
        let bytes = [
            0x55, 0x48, 0x89, 0xe5, 0x48, 0x8b, 0x47, 0x08, 0x48, 0x83, 0xf8, 0x0a, 0x74, 0x02, 0x31, 0xc0, 0xc9, 0xc3,
        ];
        let expected = [
            (0, "push   %rbp"),
            (1, "mov    %rsp,%rbp"),
            (4, "mov    0x8(%rdi),%rax"),
            (8, "cmp    $0xa,%rax"),
            (12, "je     0x1010"),
            (14, "xor    %eax,%eax"),
            (16, "leave"),
            (17, "ret"),
        ];
        assert_eq!(texts(x86_64, &bytes), expected.map(|(at, text)| (at, text.to_owned())));
    }

    #[test]
    fn code_for_arm() {
        // stp x29, x30, [sp, #-0x10]!; mov x29, sp; add x0, x1, x2; ret; no instruction.
        let words: [u32; 5] = [0xa9bf_7bfd, 0x9100_03fd, 0x8b02_0020, 0xd65f_03c0, 0xffff_ffff];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let found = aarch64(&bytes, 0);
        assert_eq!(
            (found[0].at, &*found[0].operation, found[0].operands()),
            (0, "stp", vec!["x29", "x30", "[sp, #-0x10]!"])
        );
        assert_eq!((found[2].at, found[2].text()), (8, "add    x0, x1, x2".to_owned()));
        assert_eq!((&*found[3].operation, found[3].operands()), ("ret", vec![]));
        assert_eq!(found[4].text(), ".word  0xffffffff");
    }

    #[test]
    fn operands_hold_commas_in_brackets_together() {
        let found = instruction(0, 4, "mov (%rax,%rbx,8),%rcx");
        assert_eq!(found.operands(), ["(%rax,%rbx,8)", "%rcx"]);
    }
}
