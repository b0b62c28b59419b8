//! In words: what a relocation asks, what the kernel has instead, and what may have been meant.

use super::{
    Answer, Asks, Core, Problem,
    access::{Access, composite},
    patch::Patched,
};
use alveary_btf::{Btf, CoreKind, CoreReloc, Type, TypeId, essential_name};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use std::fmt::Write;

const CODE: &str = "core-relocation";
/// How many names are offered for one that is not there.
const MOST_NAMES: usize = 4096;

/// A part of the kernel's types, and where it stands.
pub(super) fn target(kind: CoreKind, part: &Access<'_>) -> String {
    let mut text = part.text();
    let id = part.root.0;
    match Asks::of(kind) {
        Asks::Field if part.bit.is_multiple_of(8) => write!(text, " at offset {}", part.bit / 8),
        Asks::Field => write!(text, " at offset {}, bit {}", part.bit / 8, part.bit % 8),
        Asks::Type | Asks::Enumerator | Asks::Unknown => write!(text, ", type {id}"),
    }
    .ok();
    text
}

impl<'a> Core<'a> {
    /// Why an instruction that is reached fails.
    pub(super) fn missing(&mut self, record: &CoreReloc, why: Patched, place: Place) -> Diagnostic {
        let (Ok(answer), Some(target)) = (self.answer(record).cloned(), self.target) else {
            return self.refused(record, &Problem::NoTypes, place);
        };
        let problem = match why {
            Patched::WrongSize => wrong_size(&answer, place),
            Patched::Done | Patched::NoAnswer => self.nothing(record, &answer, target, place),
        };
        let asked = self.local.describe_core(record);
        problem
            .note(format!("the program asks for the {asked}"))
            .note("the instruction was replaced by one that fails when it is reached")
            .kernel("invalid func unknown#195896080")
    }

    /// The kernel does not have what is asked about.
    fn nothing(&mut self, record: &CoreReloc, answer: &Answer<'_>, target: &'a Btf, place: Place) -> Diagnostic {
        let known = self.everywhere(record.ty, target).unwrap_or_default();
        let own = &answer.own;
        let Some(&(target, first)) = known.first() else {
            let own = self.local.name(record.ty);
            let bare = essential_name(own);
            // The flavour is the object's own: nobody looks for it in the kernel.
            let name = self.local.c_name(record.ty);
            let name = name.strip_suffix(&own[bare.len()..]).unwrap_or(&name);
            let problem = Diagnostic::new(CODE, format!("the kernel has no type `{name}`"), place);
            let like = self.local.ty(record.ty);
            let near = self.near.entry(record.ty).or_insert_with(|| near_type(target, bare, like));
            return match *near {
                Some(near) => problem.help(format!("did you mean `{}`?", target.c_name(near))),
                None => problem,
            }
            .help("where the type may be missing, ask first: `bpf_core_type_exists(…)`");
        };
        if Asks::of(record.kind) == Asks::Enumerator {
            let name = essential_name(own.steps.first().and_then(|s| s.name).unwrap_or_default());
            let of = target.c_name(first);
            let problem = Diagnostic::new(CODE, format!("the kernel's `{of}` has no enumerator `{name}`"), place);
            let near = match target.resolved(first) {
                Type::Enum(t) | Type::Enum64(t) => did_you_mean(name, t.values().map(|v| v.name).take(MOST_NAMES)),
                _ => None,
            };
            return suggest(problem, near).help("where it may be missing, ask first: `bpf_core_enum_value_exists(…)`");
        }
        self.no_field(own, target, first, place)
            .help("where the field may be missing, ask first: `bpf_core_field_exists(…)`")
    }

    /// How far an access goes in the kernel's type, and what stops it.
    fn no_field(&self, own: &Access<'_>, target: &Btf, root: TypeId, place: Place) -> Diagnostic {
        let mut good = Access::whole(target, root);
        let mut failing = 0;
        for len in 1..=own.steps.len() {
            let part = Access { steps: own.steps[..len].to_vec(), ..own.clone() };
            match part.find(target, root, CoreKind::FieldOffset) {
                Ok(Some(found)) => good = found,
                _ => {
                    failing = len - 1;
                    break;
                }
            }
        }
        let step = &own.steps[failing];
        // What the good part is of: a member's type, or the root.
        let inside = match good.steps.last() {
            Some(last) if last.name.is_some() => {
                composite(target, last.ty).and_then(|t| t.members().nth(last.index as usize)).map_or(root, |m| m.ty)
            }
            Some(last) => last.ty,
            None => root,
        };
        let of = target.c_name(inside);
        let Some(name) = step.name else {
            let message = format!("the kernel's `{}` has no element {}", good.text(), step.index);
            return Diagnostic::new(CODE, message, place).found(format!("`{of}`"));
        };
        let members = members(target, inside);
        if let Some((_, ty)) = members.iter().find(|(n, _)| *n == name) {
            let wanted = composite(self.local, step.ty).and_then(|t| t.members().nth(step.index as usize));
            let problem = Diagnostic::new(CODE, format!("`{of}.{name}` is of another type in the kernel"), place)
                .found(format!("`{}`", target.c_name(*ty)));
            return match wanted {
                Some(member) => problem.expected(format!("`{}`", self.local.c_name(member.ty))),
                None => problem,
            };
        }
        let problem = Diagnostic::new(CODE, format!("the kernel's `{of}` has no member `{name}`"), place);
        if members.is_empty() {
            return problem.found("a type without members");
        }
        match did_you_mean(name, members.iter().map(|(n, _)| *n)) {
            Some(near) => suggest(problem, Some(near)),
            None if members.len() <= 16 => {
                problem.note(format!("its members: {}", members.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ")))
            }
            None => problem,
        }
    }

    /// Why the object cannot be loaded.
    pub(super) fn refused(&self, record: &CoreReloc, problem: &Problem, place: Place) -> Diagnostic {
        let asked = self.local.describe_core(record);
        let new = |code, why: &str| Diagnostic::new(code, format!("the {asked} cannot be told: {why}"), place.clone());
        let plain = |why: &str| new(CODE, why);
        match problem {
            Problem::NoTypes => new("core-btf", "the kernel's types are not known")
                .help("give the kernel's BTF: `--btf FILE`, in Rust `User::builder().btf(…)`")
                .help("a kernel that has it shows it as /sys/kernel/btf/vmlinux"),
            Problem::Endian => new("core-btf", "the kernel's types are of another byte order")
                .expected(format!("{:?}-endian types, as the object is", self.local.endian()).to_lowercase())
                .found(self.target.map_or_else(String::new, |t| format!("{:?}-endian ones", t.endian()).to_lowercase()))
                .help("give the types of such a kernel: `--btf FILE`, in Rust `User::builder().btf(…)`"),
            Problem::Access(why) => {
                plain(why).found(format!("`{}`", self.local.string(record.access).unwrap_or_default()))
            }
            Problem::Kind => plain("this version does not know what is asked").found(format!("{:?}", record.kind)),
            Problem::Deep => plain("the types are nested too deeply"),
            Problem::Unsized => plain("a type in it has no size"),
            Problem::Far => plain("it lies too far from the type's start"),
            Problem::Anonymous => plain("the type has no name to find it by").help("give the struct a name"),
            Problem::Element => plain("of an element of an array only offset, size and existence can be asked"),
            Problem::BitField => plain("no load of 8 bytes holds the bit field"),
            Problem::Ambiguous([one, other]) => new("core-ambiguous", "the kernel has it in two ways")
                .found(format!("{one}, and {other}"))
                .help("two types of the kernel share the name: read it through another type, or by helpers"),
            Problem::Contradiction { found, expected } => plain("the instruction and the object's types disagree")
                .expected(expected.to_string())
                .found(found.to_string()),
            Problem::Offset(off) => plain("its offset does not fit into the instruction")
                .expected(format!("at most {}", i16::MAX))
                .found(off.to_string()),
            Problem::Width(size) => plain("no load is as wide as the kernel's field").found(format!("{size} bytes")),
            Problem::Instruction => plain("the instruction has no room for an answer"),
        }
    }
}

fn wrong_size(answer: &Answer<'_>, place: Place) -> Diagnostic {
    let (own, found) = (&answer.own, answer.found.as_ref());
    let declared = |access: Option<(u32, TypeId)>, btf: &Btf| {
        access.map_or_else(String::new, |(size, ty)| format!("{}, {size} bytes", btf.c_name(ty)))
    };
    let message = format!("`{}` is of another size in the kernel, and cannot be read as the program does", own.text());
    let mut problem = Diagnostic::new("core-size", message, place).expected(declared(answer.own_value.access, own.btf));
    if let Some(found) = found {
        problem = problem.found(declared(answer.value.and_then(|v| v.access), found.btf));
    }
    problem.help("read it with `BPF_CORE_READ_BITFIELD_PROBED` or `bpf_core_read` and `bpf_core_field_size`")
}

fn suggest(problem: Diagnostic, near: Option<&str>) -> Diagnostic {
    match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// The members of a type by name, those of anonymous members too.
fn members(btf: &Btf, ty: TypeId) -> Vec<(&str, TypeId)> {
    let mut open = vec![ty];
    let mut found = Vec::new();
    while let Some(ty) = open.pop() {
        for member in composite(btf, btf.resolve(ty)).into_iter().flat_map(|t| t.members()) {
            if found.len() + open.len() >= MOST_NAMES {
                return found;
            }
            match member.name {
                "" => open.push(member.ty),
                name => found.push((name, member.ty)),
            }
        }
    }
    found
}

/// The type of the same kind whose name is nearest. Only names that begin with the same letter and are about as long are
/// looked at: a kernel has 100,000.
fn near_type(btf: &Btf, name: &str, like: Option<Type<'_>>) -> Option<TypeId> {
    let kind = like?.kind();
    let alike = |other: &&str| {
        other.len().abs_diff(name.len()) <= 2 && other.as_bytes().iter().take(1).eq(name.as_bytes().iter().take(1))
    };
    let all = (1..btf.count()).map(TypeId).filter(|id| btf.ty(*id).is_some_and(|t| t.kind() == kind));
    let near = did_you_mean(name, all.map(|id| btf.name(id)).filter(alike).take(MOST_NAMES))?;
    btf.find(near, kind)
}
