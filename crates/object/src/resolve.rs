//! A Spec for one kernel: each program with the functions that it reaches behind it, everything named resolved.

use crate::core::Core;
use crate::externs::KCONFIG;
use crate::insn::{
    BPF_PSEUDO_BTF_ID, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, BPF_PSEUDO_KFUNC_CALL, BPF_PSEUDO_MAP_IDX,
    BPF_PSEUDO_MAP_IDX_VALUE, CALL, LD_IMM64, heads,
};
use crate::kconfig;
use crate::symbols::{self, BadSymbol, Symbol};
use crate::target;
use alveary_abi::{MapType, ProgType};
use alveary_btf::{CoreReloc, FuncInfo, LineInfo};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_isa::{Insn, Reg};
use alveary_spec::{ExternKind, Function, Initial, Kernel, MapSpec, Program, ProgramSpec, RelocKind, Resolved, Spec};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Slots of all programs together: functions are laid out once for each program that calls them, which a small file
/// could use to fill the memory.
const LARGEST: usize = 1 << 22;
/// The first of the helpers that no kernel has, called in place of weak functions that it does not have.
const ABSENT_KFUNC: i32 = 2_002_000_000;
/// Errors after which nobody reads on.
const MOST_ERRORS: usize = 100;

/// What a caller wants of a Spec.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names of the programs; `None` is all that load unless told otherwise. Programs in the prog arrays that these
    /// use come along.
    pub programs: Option<Vec<String>>,
    /// The type of programs whose section does not tell it.
    pub ty: Option<ProgType>,
}

/// Makes the programs of a Spec ready for a kernel.
///
/// # Errors
/// Everything that is wrong with the wanted programs; programs that are not wanted may need what they like.
pub fn resolve(spec: &Spec, kernel: &Kernel, wanted: &Options) -> Result<Resolved, Vec<Diagnostic>> {
    let core = spec.btf.as_deref().map(|local| Core::new(local, kernel.btf.as_deref()));
    let mut resolver = Resolver { spec, kernel, wanted, core, slots: 0, errors: Vec::new() };
    let mut waiting = resolver.wanted();
    let mut chosen: BTreeSet<&str> = waiting.iter().map(|p| p.name.as_str()).collect();
    let mut programs = Vec::new();
    while let Some(program) = waiting.pop() {
        if resolver.errors.len() >= MOST_ERRORS {
            break;
        }
        let Some(done) = resolver.program(program) else { continue };
        for map in &done.maps {
            let Some(Initial::Programs(slots)) = spec.maps.get(map).map(|m| &m.initial) else { continue };
            let called = slots.iter().flatten().filter_map(|name| spec.programs.get(name));
            waiting.extend(called.filter(|p| chosen.insert(&p.name)));
        }
        programs.push((program.order, Arc::new(done)));
    }
    resolver.errors.extend(spec.maps.values().filter_map(|map| unknown(map, kernel)));
    if !resolver.errors.is_empty() {
        return Err(resolver.errors);
    }
    programs.sort_by_key(|(order, _)| *order);
    Ok(Resolved {
        endian: spec.endian,
        maps: spec.maps.iter().map(|(name, map)| (name.clone(), first(map, spec, kernel, &chosen))).collect(),
        programs: programs.into_iter().map(|(_, program)| program).collect(),
    })
}

/// A map with its first content for a kernel: without entries that name programs which are not loaded, and with the
/// kernel's configuration.
fn first(map: &MapSpec, spec: &Spec, kernel: &Kernel, chosen: &BTreeSet<&str>) -> MapSpec {
    let mut map = map.clone();
    if let Initial::Programs(slots) = &mut map.initial {
        for slot in slots {
            *slot = slot.take().filter(|name| chosen.contains(name.as_str()));
        }
    }
    if let (KCONFIG, Some(btf)) = (map.name.as_str(), &spec.btf) {
        let mut bytes = vec![0; map.def.value_size as usize];
        for (name, one) in &spec.externs {
            let ExternKind::Config { offset } = one.kind else { continue };
            // What no wanted program reads may be unknown.
            let value = kconfig::value(name, one, btf, kernel, spec.endian).unwrap_or_default();
            if let Some(to) = bytes.get_mut(offset as usize..).and_then(|b| b.get_mut(..value.len())) {
                to.copy_from_slice(&value);
            }
        }
        map.initial = Initial::Bytes(bytes);
    }
    map
}

/// Says that no kernel has maps of this type: an object with one can be looked at, not loaded.
fn unknown(map: &MapSpec, kernel: &Kernel) -> Option<Diagnostic> {
    let (ty, profile) = (map.def.ty, &kernel.profile);
    if ty.0 >= MapType::FIRST_OWN.0 || profile.tables().map_types.iter().any(|row| row.ty == ty) {
        return None;
    }
    let message = format!("map `{}` is of an unknown type", map.name);
    Some(
        Diagnostic::new("map-type", message, Place::Section { section: map.section.clone(), at: map.at })
            .expected(format!("a map type of Linux {} or before", profile.version))
            .found(format!("type {}", ty.0)),
    )
}

struct Resolver<'a> {
    spec: &'a Spec,
    kernel: &'a Kernel,
    wanted: &'a Options,
    /// What the kernel's types say; `None` if the object has none to ask by.
    core: Option<Core<'a>>,
    /// Slots laid out so far.
    slots: usize,
    errors: Vec<Diagnostic>,
}

impl<'a> Resolver<'a> {
    fn wanted(&mut self) -> Vec<&'a ProgramSpec> {
        let Some(names) = &self.wanted.programs else {
            return self.spec.programs.values().filter(|p| p.autoload).collect();
        };
        let mut found = Vec::new();
        for name in names {
            match self.spec.programs.get(name) {
                Some(program) => found.push(program),
                None => self.errors.push(self.no_program(name)),
            }
        }
        found
    }

    fn no_program(&self, name: &str) -> Diagnostic {
        let names = || self.spec.programs.keys().map(String::as_str);
        let problem = Diagnostic::new("program-name", format!("the object has no program `{name}`"), Place::Nowhere);
        match did_you_mean(name, names()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if self.spec.programs.is_empty() => problem.note("it has no programs at all"),
            None => problem.note(format!("its programs: {}", names().take(32).collect::<Vec<_>>().join(", "))),
        }
    }

    fn program(&mut self, program: &ProgramSpec) -> Option<Program> {
        let Some(ty) = program.ty.or(self.wanted.ty) else {
            let at = Place::Section { section: program.section.clone(), at: 0 };
            let message = format!("section `{}` does not tell the type of program `{}`", program.section, program.name);
            let known = self.kernel.profile.tables().sections.iter().filter(|s| !s.legacy).map(|s| s.prefix);
            let near = did_you_mean(&program.section, known);
            let mut problem = Diagnostic::new("program-type", message, at).help("give the type: `--type xdp`");
            if let Some(near) = near {
                problem = problem.help(format!("or did you mean `SEC(\"{near}\")`?"));
            }
            self.errors.push(problem);
            return None;
        };
        let mut layout = Layout::new(self.spec, self.kernel, self.core.as_mut(), &program.name, LARGEST - self.slots);
        layout.run(&program.name);
        self.slots += layout.insns.len();
        if !layout.errors.is_empty() {
            self.errors.append(&mut layout.errors);
            return None;
        }
        let mut subprogs: Vec<(u32, Arc<str>)> = layout.subprogs;
        subprogs.extend(inner_functions(&layout.insns, &subprogs));
        subprogs.sort_by_key(|(at, _)| *at);
        layout.poisoned.sort_by_key(|(at, _)| *at);
        Some(Program {
            name: program.name.as_str().into(),
            section: program.section.clone(),
            ty,
            expected: program.expected,
            attach: program.attach.clone(),
            target: target::find(program, self.kernel),
            flags: program.flags,
            insns: layout.insns,
            maps: layout.maps,
            subprogs,
            funcs: layout.funcs,
            lines: layout.lines,
            license: self.spec.license.clone(),
            btf: self.spec.btf.clone(),
            poisoned: layout.poisoned,
        })
    }
}

/// Functions that begin inside of another (hand-written code): nobody names them, calls show them.
fn inner_functions(insns: &[Insn], known: &[(u32, Arc<str>)]) -> Vec<(u32, Arc<str>)> {
    let mut found = BTreeMap::new();
    for (at, insn) in heads(insns) {
        if (insn.op, insn.src.0) == (CALL, BPF_PSEUDO_CALL) || (insn.op, insn.src.0) == (LD_IMM64, BPF_PSEUDO_FUNC) {
            let target = i64::from(at) + 1 + i64::from(insn.imm);
            let Some(target) = u32::try_from(target).ok().filter(|t| (*t as usize) < insns.len()) else { continue };
            let next = known.partition_point(|(start, _)| *start <= target);
            if let Some((start, name)) = next.checked_sub(1).and_then(|i| known.get(i))
                && *start != target
            {
                found.insert(target, format!("{name}+{}", target - start).into());
            }
        }
    }
    found.into_iter().collect()
}

/// One program while it is laid out.
struct Layout<'a, 'c> {
    spec: &'a Spec,
    kernel: &'a Kernel,
    core: Option<&'c mut Core<'a>>,
    program: Arc<str>,
    /// How many slots it may take.
    room: usize,
    insns: Vec<Insn>,
    maps: Vec<String>,
    /// Index of each map that is used.
    indices: HashMap<&'a str, i32>,
    /// Where each function begins.
    starts: HashMap<&'a str, u32>,
    subprogs: Vec<(u32, Arc<str>)>,
    funcs: Vec<FuncInfo>,
    lines: Vec<LineInfo>,
    /// Slots whose instruction fails when it is reached, and why.
    poisoned: Vec<(u32, Diagnostic)>,
    errors: Vec<Diagnostic>,
}

impl<'a, 'c> Layout<'a, 'c> {
    fn new(spec: &'a Spec, kernel: &'a Kernel, core: Option<&'c mut Core<'a>>, program: &str, room: usize) -> Self {
        Layout {
            spec,
            kernel,
            core,
            program: program.into(),
            room,
            insns: Vec::new(),
            maps: Vec::new(),
            indices: HashMap::new(),
            starts: HashMap::new(),
            subprogs: Vec::new(),
            funcs: Vec::new(),
            lines: Vec::new(),
            poisoned: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Puts functions behind each other in the order of their first call, callees before the rest of their caller, as
    /// libbpf does.
    fn run(&mut self, program: &str) {
        let Some((name, function)) = self.spec.functions.get_key_value(program) else {
            self.errors.push(Diagnostic::new(
                "function-missing",
                format!("program `{program}` has no function"),
                Place::Nowhere,
            ));
            return;
        };
        if function.insns.len() > self.room {
            self.too_large(0);
            return;
        }
        // Functions whose relocations are being applied, and how far.
        let mut open = vec![(self.append(name, function), function, 0)];
        while let Some((start, function, next)) = open.last_mut() {
            if self.errors.len() >= MOST_ERRORS {
                return;
            }
            let start = *start;
            let Some(reloc) = function.relocs.get(*next) else {
                open.pop();
                continue;
            };
            *next += 1;
            let at = start + reloc.insn;
            match &reloc.kind {
                RelocKind::Map(map) => self.map(at, map, None),
                RelocKind::MapValue(map, off) => self.map(at, map, Some(*off)),
                RelocKind::Call(callee) | RelocKind::FuncAddr(callee) => {
                    let is_call = matches!(reloc.kind, RelocKind::Call(_));
                    let target = match self.starts.get(callee.as_str()) {
                        Some(target) => *target,
                        None => {
                            let Some((name, callee)) = self.spec.functions.get_key_value(callee) else {
                                self.missing(at, callee);
                                continue;
                            };
                            if callee.insns.len() > self.room - self.insns.len() {
                                self.too_large(at);
                                return;
                            }
                            let target = self.append(name, callee);
                            open.push((target, callee, 0));
                            target
                        }
                    };
                    self.function(at, target, is_call);
                }
                RelocKind::Extern(name) => self.external(at, name),
                RelocKind::Kfunc(name) => self.kfunc(at, name),
            }
        }
    }

    fn append(&mut self, name: &'a str, function: &'a Function) -> u32 {
        let start = self.insns.len() as u32;
        self.insns.extend(&function.insns);
        self.starts.insert(name, start);
        self.subprogs.push((start, name.into()));
        self.funcs.extend(function.funcs.iter().map(|f| FuncInfo { insn: start + f.insn, ..*f }));
        self.lines.extend(function.lines.iter().map(|l| LineInfo { insn: start + l.insn, ..*l }));
        for record in &function.core {
            self.core(start, record);
        }
        start
    }

    /// Asks the kernel's types on behalf of an instruction of the function at `start`.
    fn core(&mut self, start: u32, record: &CoreReloc) {
        // Records come with BTF.
        let Some(core) = self.core.as_deref_mut() else { return };
        let at = start + record.insn;
        let place = Place::Insn { prog: self.program.clone(), index: at };
        let slots = if self.insns.get(at as usize).is_some_and(|i| i.op == LD_IMM64) { 2 } else { 1 };
        match core.relocate(record, &mut self.insns, at, &place) {
            Ok(None) => {}
            Ok(Some(why)) => self.poisoned.extend((at..at + slots).map(|slot| (slot, why.clone()))),
            Err(why) => self.errors.push(why),
        }
    }

    fn map(&mut self, at: u32, map: &'a str, offset: Option<u32>) {
        let Some(spec) = self.spec.maps.get(map) else {
            let problem = format!("a reference to map `{map}`, which is not there");
            self.errors.push(Diagnostic::new("map-missing", problem, self.place(at)));
            return;
        };
        let index = match self.indices.get(map) {
            Some(index) => *index,
            None => {
                let index = self.maps.len() as i32;
                self.maps.push(map.to_owned());
                self.indices.insert(map, index);
                self.check_addresses(at, spec);
                index
            }
        };
        let (kind, second) = match offset {
            None => (BPF_PSEUDO_MAP_IDX, 0),
            Some(offset) => (BPF_PSEUDO_MAP_IDX_VALUE, offset as i32),
        };
        self.patch(at, kind, index, Some(second));
    }

    /// Refuses variables that should hold an address: which one is known only once everything is loaded.
    fn check_addresses(&mut self, at: u32, spec: &MapSpec) {
        let Some((offset, target)) = spec.addresses.first() else { return };
        let message = format!("`{}` should hold the address of `{target}` in its data", spec.name);
        self.errors.push(
            Diagnostic::new("data-address", message, self.place(at))
                .label(Place::Section { section: spec.section.clone(), at: (*offset).into() }, "here")
                .note(format!("it has {} addresses", spec.addresses.len()))
                .help("addresses in initialised data are not supported in this version: compute them in the program"),
        );
    }

    fn function(&mut self, at: u32, target: u32, is_call: bool) {
        let distance = i64::from(target) - i64::from(at) - 1;
        let (kind, second) = if is_call { (BPF_PSEUDO_CALL, None) } else { (BPF_PSEUDO_FUNC, Some(0)) };
        self.patch(at, kind, distance as i32, second);
    }

    fn patch(&mut self, at: u32, src: u8, imm: i32, second: Option<i32>) {
        let at = at as usize;
        if let Some(insn) = self.insns.get_mut(at) {
            insn.src = Reg(src);
            insn.imm = imm;
        }
        if let (Some(second), Some(insn)) = (second, self.insns.get_mut(at + 1)) {
            insn.imm = second;
        }
    }

    /// A variable that the object does not define, or the address of such a function.
    fn external(&mut self, at: u32, name: &str) {
        let (Some(one), Some(local)) = (self.spec.externs.get(name), self.spec.btf.as_deref()) else {
            let message = format!("the program needs `{name}`, which is no map, data or function of the object");
            let problem = Diagnostic::new("extern", message, self.place(at));
            self.errors.push(problem.help("declare what is the kernel's as `__kconfig` or `__ksym`"));
            return;
        };
        if let ExternKind::Config { offset } = one.kind {
            if let Err(bad) = kconfig::value(name, one, local, self.kernel, self.spec.endian) {
                self.errors.push(Diagnostic::new("kconfig", bad.message, self.place(at)).help(bad.help));
            }
            return self.map(at, KCONFIG, Some(offset));
        }
        match symbols::find(name, one, local, self.kernel) {
            Ok(Symbol::Typed(id)) => self.patch(at, BPF_PSEUDO_BTF_ID, id.0 as i32, Some(0)),
            Ok(Symbol::Address(address)) => self.patch(at, 0, address as i32, Some((address >> 32) as i32)),
            Ok(Symbol::Absent) => self.patch(at, 0, 0, Some(0)),
            Err(bad) => self.bad_symbol(at, bad),
        }
    }

    /// A call of a function that the object does not define.
    fn kfunc(&mut self, at: u32, name: &str) {
        let one = self.spec.externs.get(name).filter(|e| e.kind == ExternKind::Function);
        let (Some(one), Some(local)) = (one, self.spec.btf.as_deref()) else { return self.missing(at, name) };
        match symbols::find(name, one, local, self.kernel) {
            Ok(Symbol::Typed(id)) => self.patch(at, BPF_PSEUDO_KFUNC_CALL, id.0 as i32, None),
            Ok(Symbol::Address(_) | Symbol::Absent) => {
                let number = self.spec.externs.keys().position(|n| n == name).unwrap_or(0) as i32;
                if let Some(insn) = self.insns.get_mut(at as usize) {
                    *insn = Insn { op: CALL, dst: Reg(0), src: Reg(0), off: 0, imm: ABSENT_KFUNC + number };
                }
                let message = format!("the kernel has no function `{name}`, which the program calls");
                let why = Diagnostic::new("kfunc", message, self.place(at))
                    .note("the function is declared weak: the program loads, and fails where it calls it")
                    .kernel(format!("invalid func unknown#{}", ABSENT_KFUNC + number))
                    .help("ask first: `if (bpf_ksym_exists(…))`");
                self.poisoned.push((at, why));
            }
            Err(bad) => self.bad_symbol(at, bad),
        }
    }

    fn bad_symbol(&mut self, at: u32, bad: BadSymbol) {
        let problem = Diagnostic::new("ksym", bad.message, self.place(at));
        self.errors.push(bad.help.into_iter().fold(problem, Diagnostic::help));
    }

    fn missing(&mut self, at: u32, name: &str) {
        let message = format!("a call of `{name}`, which the object does not define");
        let problem = Diagnostic::new("function-missing", message, self.place(at));
        let near = did_you_mean(name, self.spec.functions.keys().map(String::as_str));
        self.errors.push(match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("define it, or declare it as a helper or `__ksym`"),
        });
    }

    fn too_large(&mut self, at: u32) {
        let problem = Diagnostic::new("program-size", "the programs are too large together", self.place(at));
        self.errors.push(problem.expected(format!("at most {LARGEST} instructions")));
    }

    fn place(&self, index: u32) -> Place {
        Place::Insn { prog: self.program.clone(), index }
    }
}
