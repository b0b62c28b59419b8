//! What `show` says of an object, as data: JSON is this, and the tables are made from it.

use crate::inspect;
use alveary_abi::{HelperId, MapType, Profile};
use alveary_btf::{Btf, Type, TypeId};
use alveary_isa::{Endian, Inst};
use alveary_sort::Gather;
use alveary_spec::{Attach, Function, Initial, MapSpec, ProgramSpec, RelocKind, Spec};
use serde::Serialize;
use std::collections::BTreeSet;

/// An object file's content.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) endian: &'static str,
    pub(super) license: String,
    pub(super) programs: Vec<Program>,
    pub(super) maps: Vec<Map>,
    pub(super) globals: Vec<Global>,
    pub(super) btf: Option<Types>,
    pub(super) needs: Needs,
}

#[derive(Debug, Serialize)]
pub(super) struct Program {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) ty: Option<&'static str>,
    pub(super) section: String,
    pub(super) attach_type: Option<&'static str>,
    pub(super) attach_to: Option<String>,
    pub(super) autoload: bool,
    /// Instruction slots, without and with subprograms.
    pub(super) insns: usize,
    pub(super) insns_total: usize,
    pub(super) subprograms: Vec<String>,
    pub(super) maps: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Map {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) ty: String,
    pub(super) key_size: u32,
    pub(super) key_type: Option<String>,
    pub(super) value_size: u32,
    pub(super) value_type: Option<String>,
    pub(super) max_entries: u32,
    pub(super) flags: Vec<String>,
    pub(super) pinned: bool,
    pub(super) inner: Option<Box<Map>>,
    /// Names of the programs or maps in its first slots.
    pub(super) initial: Vec<Option<String>>,
    pub(super) section: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Global {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) ty: String,
    pub(super) section: String,
    pub(super) offset: u32,
    pub(super) size: u32,
    pub(super) value: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Types {
    pub(super) types: u32,
    pub(super) bytes: usize,
    pub(super) sections: Vec<String>,
    /// Source lines that instructions are mapped to.
    pub(super) lines: usize,
}

/// What a kernel must have.
#[derive(Debug, Default, Serialize)]
pub(super) struct Needs {
    pub(super) helpers: BTreeSet<String>,
    pub(super) kfuncs: BTreeSet<String>,
    pub(super) externs: BTreeSet<String>,
    pub(super) core_relocations: BTreeSet<String>,
}

impl Needs {
    pub(super) fn nothing(&self) -> bool {
        self.helpers.is_empty() && self.kfuncs.is_empty() && self.externs.is_empty() && self.core_relocations.is_empty()
    }
}

impl Report {
    /// What an object says.
    pub(super) fn of(spec: &Spec, file: &str) -> Report {
        let profile = Profile::linux_6_18();
        let reader = Reader { spec, profile: &profile, btf: spec.btf.as_deref() };
        Report {
            file: file.to_owned(),
            endian: match spec.endian {
                Endian::Little => "little",
                Endian::Big => "big",
            },
            license: spec.license.clone(),
            programs: inspect::in_order(spec).map(|p| reader.program(p)).collect(),
            maps: spec.maps.values().map(|m| reader.map(m)).collect(),
            globals: spec.maps.values().flat_map(|m| reader.globals(m)).collect(),
            btf: reader.types(),
            needs: reader.needs(),
        }
    }
}

/// The largest variable whose value is shown, in bytes.
const LARGEST: u32 = 4096;

/// Reads a Spec with the tables that give its numbers names.
struct Reader<'a> {
    spec: &'a Spec,
    profile: &'a Profile,
    btf: Option<&'a Btf>,
}

impl Reader<'_> {
    fn program(&self, program: &ProgramSpec) -> Program {
        let reached = inspect::reached(self.spec, &program.name);
        let slots = |f: &&Function| f.insns.len();
        Program {
            name: program.name.clone(),
            ty: program.ty.and_then(|t| self.profile.prog_type(t)).map(|row| row.name),
            section: program.section.to_string(),
            attach_type: program.expected.and_then(|t| self.profile.attach_type(t)).map(|row| row.name),
            attach_to: program.attach.as_ref().map(|attach| match attach {
                Attach::Malformed { text, expected } => format!("{text} (expected {expected})"),
                attach => attach.to_string(),
            }),
            autoload: program.autoload,
            insns: self.spec.functions.get(&program.name).as_ref().map_or(0, slots),
            insns_total: reached.iter().filter_map(|n| self.spec.functions.get(*n)).map(|f| f.insns.len()).sum(),
            subprograms: reached.iter().skip(1).map(ToString::to_string).collect(),
            maps: self.maps_of(&reached),
        }
    }

    /// Maps that functions name, each once, by name.
    fn maps_of(&self, functions: &[&str]) -> Vec<String> {
        let relocs = functions.iter().filter_map(|n| self.spec.functions.get(*n)).flat_map(|f| &f.relocs);
        let names = relocs.filter_map(|r| match &r.kind {
            RelocKind::Map(name) | RelocKind::MapValue(name, _) => Some(name.clone()),
            _ => None,
        });
        names.gather::<BTreeSet<_>>().into_iter().collect()
    }

    fn map(&self, map: &MapSpec) -> Map {
        let name_type = |id: Option<TypeId>| Some(self.btf?.c_name(id?));
        Map {
            name: map.name.clone(),
            ty: self.map_type(map.def.ty),
            key_size: map.def.key_size,
            key_type: name_type(map.key_type),
            value_size: map.def.value_size,
            value_type: name_type(map.value_type),
            max_entries: map.def.max_entries,
            flags: flags(map.def.flags),
            pinned: map.pin_by_name,
            inner: map.inner.as_deref().map(|m| Box::new(self.map(m))),
            initial: match &map.initial {
                Initial::Programs(names) | Initial::Maps(names) => names.clone(),
                Initial::StructOps(ops) => ops.members.iter().map(|m| Some(m.program.clone())).collect(),
                Initial::Empty | Initial::Bytes(_) => Vec::new(),
            },
            section: map.section.to_string(),
        }
    }

    fn map_type(&self, ty: MapType) -> String {
        self.profile.map_type(ty).map_or_else(|| format!("type {}", ty.0), |row| row.name.to_owned())
    }

    /// The variables of a data section.
    fn globals(&self, map: &MapSpec) -> Vec<Global> {
        let Some(btf) = self.btf.filter(|btf| inspect::is_data(map, Some(btf))) else { return Vec::new() };
        let value = |v: &inspect::Variable<'_>| match v.size {
            ..=LARGEST => inspect::first_bytes(map, v.range())
                .map_or_else(|| "outside of its section".to_owned(), |bytes| btf.value(v.ty, &bytes).to_string()),
            _ => "…".to_owned(),
        };
        let globals = inspect::variables(btf, map.value_type).map(|v| Global {
            name: v.name.to_owned(),
            ty: btf.c_name(v.ty),
            section: map.section.to_string(),
            offset: v.offset,
            size: v.size,
            value: value(&v),
        });
        globals.collect()
    }

    fn types(&self) -> Option<Types> {
        let btf = self.btf?;
        let sections = btf.ids().filter_map(|id| match btf.ty(id)? {
            Type::DataSec(section) => Some(section.name.to_owned()),
            _ => None,
        });
        Some(Types {
            types: btf.count() - btf.first_id(),
            bytes: btf.bytes().len(),
            sections: sections.collect(),
            lines: self.spec.functions.values().map(|f| f.lines.len()).sum(),
        })
    }

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for function in self.spec.functions.values() {
            for (_, inst) in inspect::decoded(function) {
                if let Ok(Inst::CallHelper { id }) = inst {
                    needs.helpers.insert(self.helper(id));
                }
            }
            for reloc in &function.relocs {
                match &reloc.kind {
                    RelocKind::Extern(name) => needs.externs.insert(name.clone()),
                    RelocKind::Kfunc(name) => needs.kfuncs.insert(name.clone()),
                    _ => false,
                };
            }
            if let Some(btf) = self.btf {
                needs.core_relocations.extend(function.core.iter().map(|c| btf.describe_core(c)));
            }
        }
        needs
    }

    fn helper(&self, id: i32) -> String {
        let row = u32::try_from(id).ok().and_then(|id| self.profile.helper(HelperId(id)));
        row.map_or_else(|| format!("helper {id}"), |row| row.name.to_owned())
    }
}

/// `BPF_F_…` of `BPF_MAP_CREATE` by name.
fn flags(bits: u32) -> Vec<String> {
    let named = FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned());
    let rest = bits & !FLAGS.iter().fold(0, |all, (bit, _)| all | bit);
    named.chain((rest != 0).then(|| format!("{rest:#x}"))).collect()
}

/// `include/uapi/linux/bpf.h`, "flags for BPF_MAP_CREATE command", without the `BPF_F_`.
const FLAGS: [(u32, &str); 19] = [
    (1 << 0, "no_prealloc"),
    (1 << 1, "no_common_lru"),
    (1 << 2, "numa_node"),
    (1 << 3, "rdonly"),
    (1 << 4, "wronly"),
    (1 << 5, "stack_build_id"),
    (1 << 6, "zero_seed"),
    (1 << 7, "rdonly_prog"),
    (1 << 8, "wronly_prog"),
    (1 << 9, "clone"),
    (1 << 10, "mmapable"),
    (1 << 11, "preserve_elems"),
    (1 << 12, "inner_map"),
    (1 << 13, "link"),
    (1 << 14, "path_fd"),
    (1 << 15, "vtype_btf_obj_fd"),
    (1 << 16, "token_fd"),
    (1 << 17, "segv_on_fault"),
    (1 << 18, "no_user_conv"),
];
