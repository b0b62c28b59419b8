//! An object's types as the kernel takes them: without what only linkers understand, and for older kernels without what
//! they do not know yet.
//!
//! Everything is changed in place and keeps its length, so that ids stay what they are.

use crate::sys::{self, BtfLoad};
use alveary_abi::Errno;
use alveary_btf::{Btf, Kind};
use alveary_isa::Endian;
use std::os::fd::{BorrowedFd, OwnedFd};

/// An object's types in the kernel.
#[derive(Debug)]
pub struct Loaded {
    /// Their descriptor.
    pub fd: OwnedFd,
    /// Whether functions are among them. Without, maps have types, but no program can say which of its functions has which.
    pub functions: bool,
}

/// Loads an object's types. What an older kernel does not know is replaced by what it knows: the types get plainer, step
/// by step, until it takes them.
///
/// # Errors
/// The kernel's, with its log: of the types as they are.
pub fn load(btf: &Btf, token: Option<BorrowedFd<'_>>) -> sys::Result<Loaded> {
    let mut bytes = Bytes::of(btf);
    bytes.define_externs();
    let first = match (BtfLoad { bytes: &bytes.raw, token }).load() {
        Err(e) if e.errno() == Errno::EINVAL => e,
        done => return done.map(|fd| Loaded { fd, functions: true }),
    };
    for (done, step) in STEPS.iter().enumerate() {
        step(&mut bytes);
        if let Ok(fd) = (BtfLoad { bytes: &bytes.raw, token }).load() {
            // The last step takes the functions out.
            return Ok(Loaded { fd, functions: done + 1 < STEPS.len() });
        }
    }
    Err(first)
}

/// What kernels learnt, the newest first: each step takes one out.
const STEPS: [fn(&mut Bytes); 7] = [
    Bytes::without_enum64,
    Bytes::without_type_tags,
    Bytes::without_decl_tags,
    Bytes::without_floats,
    Bytes::without_global_functions,
    Bytes::without_data_sections,
    Bytes::without_functions,
];

/// The section, and where each type stands in it.
struct Bytes {
    raw: Vec<u8>,
    endian: Endian,
    /// Where each type begins, from type 1 on.
    types: Vec<usize>,
}

impl Bytes {
    fn of(btf: &Btf) -> Bytes {
        let mut bytes = Bytes { raw: btf.bytes().to_vec(), endian: btf.endian(), types: Vec::new() };
        let mut at = (bytes.word(4) + bytes.word(8)) as usize;
        for _ in 1..btf.count() {
            bytes.types.push(at);
            let vlen = bytes.vlen(at);
            // What stands behind the three words of a type.
            at += 12
                + match bytes.kind(at) {
                    Some(Kind::Int | Kind::Var | Kind::DeclTag) => 4,
                    Some(Kind::Array) => 12,
                    Some(Kind::Struct | Kind::Union | Kind::DataSec | Kind::Enum64) => 12 * vlen,
                    Some(Kind::Enum | Kind::FuncProto) => 8 * vlen,
                    _ => 0,
                };
        }
        bytes
    }

    fn word(&self, at: usize) -> u32 {
        // What was read as BTF has all its words.
        let bytes = self.raw.get(at..at + 4).and_then(|b| b.first_chunk().copied()).unwrap_or_default();
        match self.endian {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        }
    }

    fn set(&mut self, at: usize, value: u32) {
        let bytes = match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        if let Some(to) = self.raw.get_mut(at..at + 4) {
            to.copy_from_slice(&bytes);
        }
    }

    fn vlen(&self, at: usize) -> usize {
        (self.word(at + 4) & 0xffff) as usize
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        const KINDS: [Kind; 20] = [
            Kind::Void,
            Kind::Int,
            Kind::Ptr,
            Kind::Array,
            Kind::Struct,
            Kind::Union,
            Kind::Enum,
            Kind::Fwd,
            Kind::Typedef,
            Kind::Volatile,
            Kind::Const,
            Kind::Restrict,
            Kind::Func,
            Kind::FuncProto,
            Kind::Var,
            Kind::DataSec,
            Kind::Float,
            Kind::DeclTag,
            Kind::TypeTag,
            Kind::Enum64,
        ];
        KINDS.get((self.word(at + 4) >> 24 & 0x1f) as usize).copied()
    }

    /// Makes another kind of a type: `vlen` parts behind it, no kind flag.
    fn become_kind(&mut self, at: usize, kind: Kind, vlen: usize) {
        self.set(at + 4, (kind as u32) << 24 | vlen as u32);
    }

    fn all(&self, kind: Kind) -> Vec<usize> {
        self.types.iter().copied().filter(|at| self.kind(*at) == Some(kind)).collect()
    }

    fn place(&self, id: u32) -> Option<usize> {
        self.types.get((id as usize).checked_sub(1)?).copied()
    }

    /// An integer of 4 bytes, or what stands in for one: the first integer.
    fn number(&self) -> Option<u32> {
        let of_size = |size: u32| {
            let fits = |at: &usize| self.kind(*at) == Some(Kind::Int) && (size == 0 || self.word(at + 8) == size);
            self.types.iter().position(fits).map(|index| index as u32 + 1)
        };
        of_size(4).or_else(|| of_size(0))
    }

    /// The kernel knows no externs: variables become its own, functions too, and a section that lists functions becomes a
    /// union that says nothing.
    fn define_externs(&mut self) {
        const EXTERN: u32 = 2;
        const GLOBAL: u32 = 1;
        for at in self.all(Kind::Var) {
            if self.word(at + 12) == EXTERN {
                self.set(at + 12, GLOBAL);
            }
        }
        for at in self.all(Kind::Func) {
            if self.vlen(at) as u32 == EXTERN {
                self.become_kind(at, Kind::Func, GLOBAL as usize);
                self.name_parameters(at);
            }
        }
        for at in self.all(Kind::DataSec) {
            let vars: Vec<usize> = (0..self.vlen(at)).map(|i| at + 12 + 12 * i).collect();
            let is_func = |var: &usize| self.place(self.word(*var)).and_then(|t| self.kind(t)) == Some(Kind::Func);
            // Sections of externs have no size, which the kernel does not take either.
            if vars.iter().any(is_func) || self.word(at + 8) == 0 {
                self.become_union(at, &vars);
            }
        }
    }

    /// Prototypes of externs have no names for their parameters, which functions must have: the function's own will do.
    fn name_parameters(&mut self, func: usize) {
        let name = self.word(func);
        let Some(proto) = self.place(self.word(func + 8)) else { return };
        for param in (0..self.vlen(proto)).map(|i| proto + 12 + 8 * i) {
            if self.word(param) == 0 && self.word(param + 4) != 0 {
                self.set(param, name);
            }
        }
    }

    /// A union without a name, of as many numbers as there were parts of 12 bytes.
    fn become_union(&mut self, at: usize, parts: &[usize]) {
        let Some(number) = self.number() else { return };
        let size = self.place(number).map_or(4, |int| self.word(int + 8));
        self.set(at, 0);
        self.become_kind(at, Kind::Union, parts.len());
        self.set(at + 8, size);
        for part in parts {
            self.set(*part, 0);
            self.set(part + 4, number);
            self.set(part + 8, 0);
        }
    }

    /// Before Linux 6.0: no enumerations of 64 bits.
    fn without_enum64(&mut self) {
        let Some(number) = self.number() else { return };
        for at in self.all(Kind::Enum64) {
            let vlen = self.vlen(at);
            self.become_kind(at, Kind::Union, vlen);
            for member in (0..vlen).map(|i| at + 12 + 12 * i) {
                self.set(member + 4, number);
                self.set(member + 8, 0);
            }
        }
    }

    /// Before Linux 5.17: no tags on pointers' targets.
    fn without_type_tags(&mut self) {
        for at in self.all(Kind::TypeTag) {
            self.set(at, 0);
            self.become_kind(at, Kind::Const, 0);
        }
    }

    /// Before Linux 5.16: no tags on declarations.
    fn without_decl_tags(&mut self) {
        for at in self.all(Kind::DeclTag) {
            self.become_int(at);
        }
    }

    /// A type with one more word: an integer of a byte. The name of a tag may be any text, that of a type may not.
    fn become_int(&mut self, at: usize) {
        const NAME: usize = 0;
        if let Some(name) = self.types.iter().copied().find(|t| self.kind(*t) == Some(Kind::Int)).map(|t| self.word(t))
        {
            self.set(at + NAME, name);
        }
        self.become_kind(at, Kind::Int, 0);
        self.set(at + 8, 1);
        self.set(at + 12, 8);
    }

    /// Before Linux 5.13: no floating point numbers.
    fn without_floats(&mut self) {
        for at in self.all(Kind::Float) {
            self.set(at, 0);
            self.become_kind(at, Kind::Struct, 0);
        }
    }

    /// Before Linux 5.6: no global functions.
    fn without_global_functions(&mut self) {
        for at in self.all(Kind::Func) {
            self.become_kind(at, Kind::Func, 0);
        }
    }

    /// Before Linux 5.2: no variables, no sections.
    fn without_data_sections(&mut self) {
        for at in self.all(Kind::DataSec) {
            let parts: Vec<usize> = (0..self.vlen(at)).map(|i| at + 12 + 12 * i).collect();
            self.become_union(at, &parts);
        }
        for at in self.all(Kind::Var) {
            self.become_int(at);
        }
    }

    /// Before Linux 5.0: no functions, and programs go without records of them.
    fn without_functions(&mut self) {
        for at in self.all(Kind::Func) {
            self.become_kind(at, Kind::Typedef, 0);
        }
        for at in self.all(Kind::FuncProto) {
            // Parameters are two words, as enumerators are.
            let vlen = self.vlen(at);
            self.set(at, 0);
            self.become_kind(at, Kind::Enum, vlen);
            self.set(at + 8, 4);
            let name = self.number().and_then(|id| self.place(id)).map_or(0, |int| self.word(int));
            for value in (0..vlen).map(|i| at + 12 + 8 * i) {
                if self.word(value) == 0 {
                    self.set(value, name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alveary_testing::{bpf::permitted, compile};

    const SOURCE: &str = r#"
        extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
        extern void *bpf_cast_to_kern_ctx(void *) __attribute__((section(".ksyms")));
        struct S { int __attribute__((btf_type_tag("user"))) *p; float f; double d[2]; } __attribute__((btf_decl_tag("a tag")));
        enum E { SMALL = 1, LARGE = 0x100000000 };
        struct S global; enum E e = LARGE;
        noinline int callee(int x) { return x + global.f * 0 + (long)e; }
        SEC("xdp") int entry(struct xdp_md *ctx) {
            return callee(LINUX_KERNEL_VERSION) + (bpf_cast_to_kern_ctx(ctx) != 0);
        }"#;

    /// As each older kernel gets them, the types are still what this kernel takes, under the same ids.
    #[test]
    fn every_step_is_taken_by_the_kernel() {
        let test = "every_step_is_taken_by_the_kernel";
        if !permitted(test) {
            return;
        }
        let source = SOURCE.replace("+ global.f * 0 ", "");
        let Some(object) = compile(test, &source, "bpfel", &["-g"]) else { return };
        let btf = alveary_btf_of(&object);
        let mut bytes = Bytes::of(&btf);
        bytes.define_externs();
        BtfLoad { bytes: &bytes.raw, token: None }.load().unwrap_or_else(|e| panic!("as it is: {e}\n{}", e.log()));
        for (index, step) in STEPS.iter().enumerate() {
            step(&mut bytes);
            let loaded = BtfLoad { bytes: &bytes.raw, token: None }.load();
            loaded.unwrap_or_else(|e| panic!("step {index}: {e}\n{}", e.log()));
            let plain = Btf::read(&bytes.raw, None).expect("still BTF");
            assert_eq!(plain.count(), btf.count());
        }
        let kinds = [Kind::Enum64, Kind::TypeTag, Kind::DeclTag, Kind::Float, Kind::DataSec, Kind::Var, Kind::Func];
        for kind in kinds {
            assert!(!Bytes::of(&btf).all(kind).is_empty(), "the source has a {kind:?}");
            assert!(bytes.all(kind).is_empty(), "no {kind:?} is left");
        }
    }

    /// The section of an object, without a reader of objects.
    fn alveary_btf_of(object: &[u8]) -> Btf {
        let magic = |at: &usize| object[*at..].starts_with(&[0x9f, 0xeb, 1, 0, 24, 0, 0, 0]);
        let start = (0..object.len() - 24).find(magic).expect("a .BTF section");
        let word = |at: usize| u32::from_le_bytes(object[start + at..][..4].try_into().expect("four bytes")) as usize;
        Btf::read(&object[start..start + 24 + word(16) + word(20)], None).expect("BTF")
    }
}
