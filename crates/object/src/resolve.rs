//! A Spec for one kernel: each program with the functions that it reaches behind it, everything named resolved.

use crate::core::Core;
use crate::externs::KCONFIG;
use crate::kconfig;
use crate::layout::{LARGEST, Layout, MOST_ERRORS};
use crate::struct_ops::Interfaces;
use crate::target;
use alveary_abi::{AttachType, MapType, ProgType};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_sort::{Gather, Sort};
use alveary_spec::{ExternKind, Initial, Kernel, Lines, MapSpec, Program, ProgramSpec, Resolved, Spec};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a caller wants of a Spec.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names of the programs; `None` is all that load unless told otherwise. Programs in the prog arrays that these
    /// use come along, and the others of a kernel interface (`.struct_ops`) that one of them is of.
    pub programs: Option<Vec<String>>,
    /// The type of programs whose section does not tell it.
    pub ty: Option<ProgType>,
}

/// Makes the programs of a Spec ready for a kernel.
///
/// # Errors
/// Everything that is wrong with the wanted programs; programs that are not wanted may need what they like.
pub fn resolve(spec: &Spec, kernel: &Kernel, wanted: &Options) -> Result<Resolved, Vec<Diagnostic>> {
    let core = spec.btf.as_deref().map(|local| Core::of(local, kernel));
    let mut errors = Vec::new();
    let interfaces = Interfaces::find(spec, kernel, wanted.programs.as_deref(), &mut errors);
    let mut resolver = Resolver { spec, kernel, wanted, interfaces, core, slots: 0, errors };
    let mut waiting = resolver.wanted();
    let mut chosen: BTreeSet<&str> = waiting.iter().map(|p| p.name.as_str()).gather();
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
    programs.order_by_key(|(order, _)| *order);
    let others = spec.maps.iter().filter(|(_, map)| map.def.ty != MapType::STRUCT_OPS);
    let mut maps: BTreeMap<_, _> = others.map(|(name, map)| (name.clone(), first(map, spec, kernel, &chosen))).gather();
    maps.append(&mut resolver.interfaces.maps);
    let programs = programs.into_iter().map(|(_, program)| program).collect();
    Ok(Resolved { endian: spec.endian, maps, programs, btf: spec.btf.clone() })
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
    /// The kernel's interfaces that are wanted.
    interfaces: Interfaces,
    /// What the kernel's types say; `None` if the object has none to ask by.
    core: Option<Core<'a>>,
    /// Slots laid out so far.
    slots: usize,
    errors: Vec<Diagnostic>,
}

impl<'a> Resolver<'a> {
    fn wanted(&mut self) -> Vec<&'a ProgramSpec> {
        let Some(names) = &self.wanted.programs else {
            let asked: BTreeSet<&str> = self.interfaces.programs().gather();
            let unused = &self.interfaces.unused;
            let wanted = |p: &&ProgramSpec| p.autoload && !unused.contains(&p.name) || asked.contains(p.name.as_str());
            return self.spec.programs.values().filter(wanted).collect();
        };
        let mut found: Vec<&ProgramSpec> = Vec::new();
        let along = self.interfaces.programs().filter(|name| !names.iter().any(|n| n == name));
        found.extend(along.filter_map(|name| self.spec.programs.get(name)));
        found.order_by_key(|p| p.order);
        found.dedup_by_key(|p| p.order);
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

    fn program(&mut self, program: &'a ProgramSpec) -> Option<Program> {
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
        layout.run(program);
        self.slots += layout.insns.len();
        if !layout.errors.is_empty() {
            let Layout { errors, lines, .. } = &mut layout;
            let lines = self.spec.btf.as_deref().map(|btf| Lines { all: lines, btf });
            let with_line = |why: Diagnostic| lines.iter().fold(why, |why, lines| why.with_lines(lines));
            self.errors.extend(errors.drain(..).map(with_line));
            return None;
        }
        let subprogs = layout.functions();
        layout.poisoned.order_by_key(|(at, _)| *at);
        let (expected, target) = match self.interfaces.slots.get(&program.name) {
            Some(slot) => (Some(AttachType(slot.member)), Some(Ok(slot.ty.clone()))),
            None => (program.expected, target::find(program, self.kernel)),
        };
        Some(Program {
            name: program.name.as_str().into(),
            section: program.section.clone(),
            ty,
            expected,
            attach: program.attach.clone(),
            target,
            flags: program.flags,
            insns: layout.insns,
            modules: layout.modules,
            maps: layout.maps,
            subprogs,
            funcs: layout.funcs,
            lines: layout.lines,
            args: layout.args,
            exception_callback: layout.callback,
            license: self.spec.license.clone(),
            btf: self.spec.btf.clone(),
            poisoned: layout.poisoned,
        })
    }
}
