//! The bodies of the fuzz targets. Each takes any bytes and panics if something does not hold that must hold for all.
//!
//! A body knows no fuzzer: `fuzz_targets/` hands them to libFuzzer, `tests/replay.rs` runs them over the seeds and
//! over random changes of these, on any toolchain. docs/fuzzing.md says what each one asserts.

mod assemble;
mod btf;
mod btf_write;
mod budget;
mod capture;
mod cbpf;
mod checked;
mod decode;
mod elf;
mod kernel_types;
mod lb;
mod link;
mod program;
mod programs;
mod read_types;
mod verify;

pub use assemble::assemble;
pub use btf::btf;
pub use btf_write::btf_write;
pub use capture::capture;
pub use cbpf::cbpf;
pub use checked::checked;
pub use decode::decode;
pub use elf::elf;
pub use lb::lb;
pub use link::link_objects;
pub use programs::programs;
pub use read_types::types_of_files;
pub use verify::verify;

thread_local! {
    /// One user-space kernel for all runs: making its tables takes longer than most of them. Whatever is loaded runs
    /// checked: what the verifier rejects is what is to be looked for.
    static USER: alveary::User = alveary::Target::user().unverified();
}

/// The target that programs are loaded onto.
fn user() -> alveary::User {
    USER.with(Clone::clone)
}

/// A target: its name, which is that of its file in `fuzz_targets/` and of its folder in `seeds/`, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("assemble", assemble),
    ("btf", btf),
    ("btf_write", btf_write),
    ("capture", capture),
    ("cbpf", cbpf),
    ("checked", checked),
    ("decode", decode),
    ("elf", elf),
    ("lb", lb),
    ("link", link_objects),
    ("programs", programs),
    ("read_types", types_of_files),
    ("verify", verify),
];
