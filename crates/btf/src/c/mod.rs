//! Types as a C header: what `bpftool btf dump … format c` prints.
//!
//! Each type is written once, behind all that it holds by value; what it only points to is declared in front. Names
//! that several types have get a number (`___2`), as libbpf numbers them.
//!
//! | file | holds |
//! |---|---|
//! | `order` | which types have to be written before which |
//! | `emit` | definitions and forward declarations, one by one |
//! | `record` | structs and unions with their padding, enumerations |
//! | `declare` | a name with its type: `int (*name)(void)` |
//! | `names` | how often each name was given |
//! | `kfuncs` | prototypes of the kernel's functions |
//! | `sort`, `twins` | the order in which whole sets are listed |

mod declare;
mod emit;
mod kfuncs;
mod names;
mod order;
mod record;
mod sort;
mod twins;

use self::names::Names;
use crate::{Btf, Type, TypeId, align::Aligns};
use alveary_diag::{Diagnostic, Place};

const TOP: &str = "\
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(\".ksyms\")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

#ifndef __bpf_fastcall
#if __has_attribute(bpf_fastcall)
#define __bpf_fastcall __attribute__((bpf_fastcall))
#else
#define __bpf_fastcall
#endif
#endif

";

const BOTTOM: &str = "\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
";

impl Btf {
    /// A C header with these types and all that they need. Accesses to its structs are relocated (CO-RE).
    ///
    /// # Errors
    /// A type holds itself, chains of types never end, or the text would be out of proportion to the types.
    pub fn to_c(&self, roots: impl IntoIterator<Item = TypeId>) -> Result<String, Diagnostic> {
        let mut writer = Writer::new(self);
        writer.out.push_str(TOP);
        writer.write_all(roots)?;
        writer.out.push_str(BOTTOM);
        Ok(writer.out)
    }

    /// A C header with all types, in this order ([`Btf::sorted`], or by id), and behind them the prototypes of the
    /// kernel's functions that programs may call.
    ///
    /// # Errors
    /// As [`Btf::to_c`].
    pub fn to_c_whole(&self, order: impl IntoIterator<Item = TypeId>) -> Result<String, Diagnostic> {
        let mut writer = Writer::new(self);
        writer.out.push_str(TOP);
        writer.write_all(order)?;
        writer.kfuncs()?;
        writer.out.push_str(BOTTOM);
        Ok(writer.out)
    }

    /// The declaration of `name` as a variable of type `id` that may be written: without `const` and its like. Types
    /// without a name are defined on the spot, their lines after `indent` tabs.
    ///
    /// # Errors
    /// As [`Btf::to_c`].
    pub fn c_declaration(&self, id: TypeId, name: &str, indent: u32) -> Result<String, Diagnostic> {
        let mut writer = Writer::new(self);
        writer.bare = true;
        writer.declare(id, name, indent, 0)?;
        Ok(writer.out)
    }
}

/// Levels of types inside each other that are followed. The kernel's own types need about 40.
const LEVELS: u32 = 256;

/// Types in this many steps a word of the set are followed, at most.
const STEPS: usize = 64;

/// Tabs that a line begins with, at most: as many as libbpf writes.
const TABS: &str = "\t\t\t\t\t\t\t\t\t\t\t\t\t";

/// Bytes of text that one byte of types may become; the kernel's become half as many as they are.
const GROWTH: usize = 16;

struct Writer<'a> {
    btf: &'a Btf,
    out: String,
    states: Vec<State>,
    /// How often each name was given: to structs, unions and enumerations; to typedefs and enumerators.
    tags: Names<'a>,
    idents: Names<'a>,
    aligns: Aligns<'a>,
    /// What was ordered and not yet written.
    queue: Vec<TypeId>,
    /// Room for the chain of types that is being declared.
    chain: Vec<TypeId>,
    /// Steps that ordering may still take.
    steps: usize,
    /// Bytes that `out` may have.
    most: usize,
    /// Modifiers are left out.
    bare: bool,
}

/// What became of a type so far.
#[derive(Clone, Copy, Default)]
struct State {
    order: Progress,
    emit: Progress,
    /// A forward declaration was written.
    declared: bool,
    /// Another type refers to it.
    referenced: bool,
    /// The how many-eth type of its name it is; 0 if it was not named yet.
    number: u32,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Open,
    Begun,
    Done,
}

impl<'a> Writer<'a> {
    fn new(btf: &'a Btf) -> Writer<'a> {
        let mut size = 0;
        let mut set = Some(btf);
        while let Some(btf) = set {
            size += btf.raw.len();
            set = btf.base.as_deref();
        }
        let mut writer = Writer {
            btf,
            out: String::with_capacity(size / 2),
            states: vec![State::default(); btf.count() as usize],
            tags: Names::new(btf.offsets.len() / 8),
            idents: Names::new(btf.offsets.len() / 2),
            aligns: Aligns::new(btf),
            queue: Vec::new(),
            chain: Vec::new(),
            steps: 4096 + STEPS * (size / 4),
            most: (64 << 10) + GROWTH * size,
            bare: false,
        };
        if let Some(void) = writer.states.first_mut() {
            (void.order, void.emit) = (Progress::Done, Progress::Done);
        }
        writer.mark_referenced();
        writer
    }

    /// Writes each type behind what it needs; what was written before is not written again.
    fn write_all(&mut self, roots: impl IntoIterator<Item = TypeId>) -> Result<(), Diagnostic> {
        let mut ordered = Vec::new();
        for root in roots {
            self.order(root, false, 0)?;
            std::mem::swap(&mut ordered, &mut self.queue);
            for id in ordered.drain(..) {
                self.emit(id, None, 0)?;
            }
        }
        Ok(())
    }

    /// Enumerations without a name that nothing refers to stand for constants: they are written by themselves.
    fn mark_referenced(&mut self) {
        for id in (1..self.btf.count()).map(TypeId) {
            self.btf.references(id, |to| {
                if let Some(state) = self.states.get_mut(to.0 as usize) {
                    state.referenced = true;
                }
            });
        }
    }

    fn state(&mut self, id: TypeId) -> &mut State {
        // Ids are below `count`, which is how many states there are: `read` has checked every reference.
        &mut self.states[id.0 as usize]
    }

    /// Refuses what would take more room than the types deserve.
    fn check_size(&self, id: TypeId) -> Result<(), Diagnostic> {
        if self.out.len() <= self.most {
            return Ok(());
        }
        Err(problem("the types would become more text than is reasonable", id)
            .expected(format!("at most {} bytes", self.most))
            .help("the BTF is damaged, or made to harm"))
    }

    /// The name of a struct, union or enumeration, numbered if others had it before.
    fn put_tag(&mut self, id: TypeId, ty: Type<'a>) {
        let numbered = match ty {
            Type::Enum(t) => t.values().len() != 0,
            Type::Fwd { .. } => false,
            _ => true,
        };
        let name = ty.name();
        let number = match self.states[id.0 as usize].number {
            0 if name.is_empty() || !numbered => 1,
            0 => self.tags.count(name),
            known => known,
        };
        self.state(id).number = number;
        self.put_numbered(name, number);
    }

    /// The name of a typedef.
    fn put_ident(&mut self, id: TypeId) {
        let name = self.btf.name(id);
        let number = match self.states[id.0 as usize].number {
            0 => self.idents.count(name),
            known => known,
        };
        self.state(id).number = number;
        self.put_numbered(name, number);
    }

    fn put_numbered(&mut self, name: &str, number: u32) {
        self.out.push_str(name);
        if number > 1 {
            self.out.push_str("___");
            self.put_number(number);
        }
    }

    fn put_number(&mut self, number: impl Into<i128>) {
        let mut number = number.into();
        if number < 0 {
            self.out.push('-');
            number = -number;
        }
        let mut digits = [0; 40];
        let mut at = digits.len();
        // Most numbers fit 64 bits, where division is cheap.
        let mut rest = number as u64;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
    }

    fn indent(&mut self, level: u32) {
        self.out.push_str(TABS.get(..level as usize).unwrap_or(TABS));
    }
}

fn problem(message: impl Into<std::borrow::Cow<'static, str>>, id: TypeId) -> Diagnostic {
    Diagnostic::new("btf-c", message, Place::BtfType { id: id.0 })
}

fn too_deep(id: TypeId) -> Diagnostic {
    problem("types are nested too deeply, or in a circle", id).expected(format!("at most {LEVELS} levels"))
}
