//! Functions of this test that are probed.

use std::hint::black_box;

/// A function to be probed by name.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn alveary_probed_function(value: u64) -> u64 {
    black_box(value) + 1
}

/// A function with a static probe: provider `alveary`, name `probe`, one argument.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
pub(crate) fn statically_probed(value: u64) -> u64 {
    let value = black_box(value);
    // SAFETY: the code is a `nop`; all else goes into sections that nothing runs.
    unsafe {
        std::arch::asm!(
            "990: nop",
            ".pushsection .note.stapsdt, \"\", \"note\"",
            ".balign 4",
            ".4byte 992f-991f, 994f-993f, 3",
            "991: .asciz \"stapsdt\"",
            "992: .balign 4",
            "993: .8byte 990b",
            ".8byte _.stapsdt.base",
            ".8byte 0",
            ".asciz \"alveary\"",
            ".asciz \"probe\"",
            ".asciz \"8@{value}\"",
            "994: .balign 4",
            ".popsection",
            ".ifndef _.stapsdt.base",
            ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat",
            ".weak _.stapsdt.base",
            ".hidden _.stapsdt.base",
            "_.stapsdt.base: .space 1",
            ".size _.stapsdt.base, 1",
            ".popsection",
            ".endif",
            value = in(reg) value,
            options(att_syntax, nomem, nostack, preserves_flags),
        );
    }
    value
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn statically_probed(value: u64) -> u64 {
    value
}
