//! Compiles the kernels of bench/kernels/first/, for eBPF and for this machine.

use alveary_isa::{Endian, Insn, Inst, decode};
use alveary_vm::{Call, Code, Func, HelperFn};
use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One kernel, by its name.
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
}

pub(crate) const KERNELS: [Kernel; 12] = [
    Kernel { name: "empty" },
    Kernel { name: "alu" },
    Kernel { name: "alu2" },
    Kernel { name: "sieve" },
    Kernel { name: "cksum" },
    Kernel { name: "memcmp" },
    Kernel { name: "parse" },
    Kernel { name: "map" },
    Kernel { name: "switch" },
    Kernel { name: "call" },
    Kernel { name: "big1" },
    Kernel { name: "big10" },
];

/// Where the kernels are: the benchmark beside other engines has the same.
const KERNELS_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/kernels/first");
/// The map, and its functions as the engine calls them.
const HELPERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/engine/helpers.c");

fn source(name: &str) -> PathBuf {
    Path::new(KERNELS_FOLDER).join(name).with_extension("c")
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

impl Kernel {
    fn output(&self, extension: &str) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name).with_extension(extension)
    }

    /// The kernel for the engine.
    pub(crate) fn code(&self) -> Result<Code, String> {
        let (object, section) = (self.output("o"), self.output("plain"));
        let clang = ["-O2", "-target", "bpf", "-mcpu=v3", "-w", "-DPLAIN", "-c", "-o"];
        run(Command::new("clang-19").args(clang).arg(&object).arg(source(self.name)))?;
        let objcopy = ["-O", "binary", "--only-section=plain"];
        run(Command::new("llvm-objcopy-19").args(objcopy).arg(&object).arg(&section))?;
        let bytes = std::fs::read(&section).map_err(|error| format!("{}: {error}", section.display()))?;
        let insns = bytes.as_chunks().0.iter().map(|slot| Insn::from_bytes(*slot, Endian::Little));
        let mut code = Code { insns: insns.collect(), ..Code::default() };
        let calls = |tag| Call { args: if tag == 1 { 2 } else { 4 }, returns: true, tag };
        code.calls = vec![calls(1), calls(2)];
        let mut starts = vec![0];
        let mut slot = 0;
        while slot < code.insns.len() {
            let inst = decode(&code.insns, slot).map_err(|error| error.to_string())?;
            match inst {
                Inst::CallHelper { id } => code.insns[slot].imm = id - 1,
                Inst::CallLocal { rel } => starts.push(slot as u32 + 1 + rel as u32),
                _ => {}
            }
            slot += inst.slots();
        }
        starts.sort_unstable();
        starts.dedup();
        // Compiled C reads nothing of its stack that it has not written.
        code.funcs = starts.into_iter().map(|start| Func { start, stack: 0 }).collect();
        Ok(code)
    }
}

/// A kernel as a shared object of this machine, with the map that helpers.c has.
pub(crate) struct Native {
    entry: unsafe extern "C" fn(u64, u64) -> u64,
    /// The map's lookup and update, as the engine calls them.
    pub(crate) helpers: [HelperFn; 2],
    range: unsafe extern "C" fn(*mut u64, *mut u64),
}

impl Native {
    pub(crate) fn compile(kernel: &Kernel) -> Result<Native, String> {
        let object = kernel.output("so");
        let clang = ["-O2", "-shared", "-fPIC", "-w", "-o"];
        let sources = [source(kernel.name), PathBuf::from(HELPERS)];
        run(Command::new("clang-19").args(clang).arg(&object).args(["-I", KERNELS_FOLDER]).args(sources))?;
        let path = CString::new(object.to_string_lossy().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: the object was compiled just now from our own source; it has no initialisers.
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return Err(format!("{}: it does not load", object.display()));
        }
        let symbol = |name: &std::ffi::CStr| {
            // SAFETY: `library` is open, and never closed.
            let address: *mut c_void = unsafe { libc::dlsym(library, name.as_ptr()) };
            if address.is_null() { Err(format!("{}: no {name:?}", object.display())) } else { Ok(address) }
        };
        // SAFETY: the sources define these functions with these signatures, or with fewer arguments than are handed over.
        unsafe {
            Ok(Native {
                entry: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(u64, u64) -> u64>(symbol(c"prog")?),
                helpers: [
                    std::mem::transmute::<*mut c_void, HelperFn>(symbol(c"env_lookup")?),
                    std::mem::transmute::<*mut c_void, HelperFn>(symbol(c"env_update")?),
                ],
                range: std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut u64, *mut u64)>(symbol(c"range")?),
            })
        }
    }

    /// Runs it over `len` bytes at `addr`.
    pub(crate) fn run(&self, addr: u64, len: u64) -> u64 {
        // SAFETY: the kernels stay inside the packet that they are given.
        unsafe { (self.entry)(addr, len) }
    }

    /// Where the map's values are: address and length.
    pub(crate) fn map_memory(&self) -> (u64, u64) {
        let (mut start, mut end) = (0, 0);
        // SAFETY: it writes two numbers.
        unsafe { (self.range)(&raw mut start, &raw mut end) };
        (start, end - start)
    }
}
