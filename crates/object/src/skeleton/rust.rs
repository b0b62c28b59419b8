//! The Rust module: what the object defines, by name and type, over the crate `alveary`.

use super::{Map, Skeleton, bytes, variables};
use alveary_abi::{MapType, Tables};
use alveary_btf::{
    Btf, TypeId,
    rust::{LINTS, RustTypes, identifier},
};
use alveary_diag::Diagnostic;
use alveary_spec::ProgramSpec;
use std::fmt::Write;

/// Nobody uses all that an object has.
const UNUSED: &str = "#[allow(dead_code, reason = \"not everyone uses all that an object has\")]\n";

/// Where the types of an object stand.
const TYPES: &str = "types::";

/// The maps and programs of an opened and of a loaded object. `$NAME` is the skeleton's name.
const OPEN: &str = "
#[allow(dead_code, reason = \"not everyone uses all that an object has\")]
impl Open {
    /// Reads the object.
    pub fn new() -> Result<Self> {
        let object = Object::parse(ELF)?;
        Ok(Self {
$TAKEN            object,
        })
    }

    /// The object with all that was changed.
    pub fn into_object(self) -> Result<Object> {
        let mut object = self.object;
$PUT        Ok(object)
    }

    /// Makes the maps and loads the programs.
    pub fn load<B: Backend>(self, on: B) -> Result<$NAME<B>> {
        self.load_by(Loader::new(on))
    }

    /// The same by a loader with settings.
    pub fn load_by<B: Backend>(self, loader: Loader<B>) -> Result<$NAME<B>> {
        $NAME::new(loader.load(&self.into_object()?)?)
    }
}
";

/// What attaches. `$STRUCT` holds a link for each program, `$MADE` makes it.
const LINKS: &str = "
/// What the programs are attached by: each until it is dropped. `None` was not loaded, or its section does not say where.
#[cfg(target_os = \"linux\")]
#[allow(dead_code, reason = \"not everyone uses all that an object has\")]
$STRUCT

#[cfg(target_os = \"linux\")]
#[allow(dead_code, reason = \"not everyone uses all that an object has\")]
impl $NAME<alveary::Linux> {
    /// Attaches the programs to where their sections say$INTERFACES.
    pub fn attach(&self) -> Result<Links> {
        Ok($MADE)
    }
}
";

pub(super) fn write(skeleton: &Skeleton<'_>) -> Result<String, Diagnostic> {
    let writer = Writer::new(skeleton)?;
    let mut out =
        String::from("// Made by `alveary gen skeleton --lang rust`: make it anew rather than change it.\n\n");
    writer.imports(&mut out);
    writer.open(&mut out);
    writer.loaded(&mut out)?;
    writer.types(&mut out)?;
    writeln!(out, "\n/// The object file.\n#[rustfmt::skip]\npub const ELF: &[u8] = b\"\\").ok();
    writeln!(out, "{}\";", bytes::lines(skeleton.bytes)).ok();
    Ok(out)
}

struct Writer<'a> {
    /// The name as types have it: `Count`.
    name: String,
    /// Maps that no data section has.
    maps: Vec<Map<'a>>,
    /// Those that one has, and the types of their variables.
    data: Vec<(Map<'a>, TypeId)>,
    programs: Vec<&'a ProgramSpec>,
    types: Option<RustTypes<'a>>,
}

impl<'a> Writer<'a> {
    fn new(skeleton: &Skeleton<'a>) -> Result<Writer<'a>, Diagnostic> {
        let btf = skeleton.spec.btf.as_deref();
        let (data, maps): (Vec<_>, _) = skeleton.maps().into_iter().partition(|map| map.spec.name.starts_with('.'));
        let has_variables = |map: &Map<'a>, btf: &'a Btf| map.data.is_some_and(|s| !variables(btf, s).is_empty());
        let data: Vec<_> = data
            .into_iter()
            .filter(|map| btf.is_some_and(|btf| has_variables(map, btf)))
            .filter_map(|map| map.spec.value_type.map(|ty| (map, ty)))
            .collect();
        let roots = data.iter().map(|(_, ty)| *ty);
        let roots = roots.chain(maps.iter().flat_map(|m| [m.spec.key_type, m.spec.value_type].into_iter().flatten()));
        let types = btf.map(|btf| RustTypes::new(btf, roots)).transpose()?;
        Ok(Writer { name: camel(&skeleton.ident()), maps, data, programs: skeleton.programs(), types })
    }

    fn imports(&self, out: &mut String) {
        out.push_str("#[allow(unused_imports, reason = \"not everyone uses all that an object has\")]\n");
        out.push_str("use alveary::skeleton::{Global, PerCpuMap, TypedMap};\n");
        out.push_str("#[allow(unused_imports, reason = \"not everyone uses all that an object has\")]\n");
        out.push_str("use alveary::spec::{MapSpec, ProgramSpec};\n");
        out.push_str("use alveary::{Backend, Loaded, Loader, Object, ProgramRef, Result};\n");
    }

    /// What can be changed before it is loaded.
    fn open(&self, out: &mut String) {
        let map = |m: &Map<'_>| (rust(&m.ident()), m.spec.name.clone());
        let maps: Vec<_> = self.maps.iter().map(map).collect();
        let programs: Vec<_> = self.programs.iter().map(|p| (rust(&p.name), p.name.clone())).collect();
        // The configuration is the kernel's to say.
        let data = || self.data.iter().map(|(m, ty)| (map(m), *ty)).filter(|((_, name), _)| name != ".kconfig");

        out.push_str(
            "\n/// The object, read and not yet loaded: what is changed here is loaded so.\npub struct Open {\n",
        );
        for ((field, name), ty) in data() {
            writeln!(out, "    /// The variables of `{name}`.\n    pub {field}: {},", self.path(ty)).ok();
        }
        out.push_str("    /// The maps: their sizes, flags, types.\n    pub maps: OpenMaps,\n");
        out.push_str("    /// The programs: which are loaded, and as what.\n    pub progs: OpenProgs,\n");
        out.push_str("    /// All the rest.\n    pub object: Object,\n}\n");
        structure(out, "The maps before they are made.", "OpenMaps", "MapSpec", &maps);
        structure(out, "The programs before they are loaded.", "OpenProgs", "ProgramSpec", &programs);

        let (mut taken, mut put) = (String::new(), String::new());
        for ((field, name), _) in data() {
            writeln!(taken, "            {field}: object.data(\"{name}\")?,").ok();
            writeln!(put, "        object.set_data(\"{name}\", &self.{field})?;").ok();
        }
        for (member, ty, names, get) in
            [("maps", "OpenMaps", &maps, "map_spec"), ("progs", "OpenProgs", &programs, "program_spec")]
        {
            if names.is_empty() {
                writeln!(taken, "            {member}: {ty} {{}},").ok();
                continue;
            }
            writeln!(taken, "            {member}: {ty} {{").ok();
            for (field, name) in names {
                writeln!(taken, "                {field}: object.{get}(\"{name}\")?.clone(),").ok();
                writeln!(put, "        *object.{get}_mut(\"{name}\")? = self.{member}.{field};").ok();
            }
            writeln!(taken, "            }},").ok();
        }
        let text = OPEN.replace("$NAME", &self.name).replace("$TAKEN", &taken).replace("$PUT", &put);
        out.push_str(&text);
    }

    /// What there is once it is loaded.
    fn loaded(&self, out: &mut String) -> Result<(), Diagnostic> {
        let name = &self.name;
        writeln!(out, "\n/// The object on a target: its maps and programs, for as long as this value lives.").ok();
        writeln!(out, "{UNUSED}pub struct {name}<B: Backend> {{").ok();
        for (map, ty) in &self.data {
            let field = rust(&map.ident());
            writeln!(out, "    /// The variables of `{}`.", map.spec.name).ok();
            writeln!(out, "    pub {field}: Global<B::Map, {}>,", self.path(*ty)).ok();
        }
        writeln!(out, "    /// The maps.\n    pub maps: Maps<B>,").ok();
        writeln!(out, "    /// All that was loaded.\n    pub loaded: Loaded<B>,\n}}").ok();

        writeln!(out, "\n{UNUSED}impl<B: Backend> {name}<B> {{").ok();
        writeln!(out, "    /// Takes what was loaded from this object.").ok();
        writeln!(out, "    pub fn new(loaded: Loaded<B>) -> Result<Self> {{\n        Ok(Self {{").ok();
        for (map, _) in &self.data {
            writeln!(out, "            {}: Global::of(&loaded, \"{}\")?,", rust(&map.ident()), map.spec.name).ok();
        }
        let mut fields = String::new();
        if self.maps.is_empty() {
            writeln!(out, "            maps: Maps {{ on: std::marker::PhantomData }},").ok();
        } else {
            writeln!(out, "            maps: Maps {{").ok();
        }
        for map in &self.maps {
            let field = rust(&map.ident());
            let (ty, make) = self.map(map)?;
            writeln!(out, "                {field}: {},", make.replace("$NAME", &map.spec.name)).ok();
            writeln!(fields, "    /// The map `{}`.\n    pub {field}: {ty},", map.spec.name).ok();
        }
        if self.maps.is_empty() {
            writeln!(fields, "    on: std::marker::PhantomData<B>,").ok();
        } else {
            writeln!(out, "            }},").ok();
        }
        writeln!(out, "            loaded,\n        }})\n    }}\n").ok();
        writeln!(out, "    /// The programs.\n    pub fn progs(&self) -> Progs<'_, B> {{").ok();
        writeln!(out, "        Progs(&self.loaded)\n    }}\n}}").ok();
        writeln!(out, "\n/// The maps, by name and type.\n{UNUSED}pub struct Maps<B: Backend> {{\n{fields}}}").ok();

        writeln!(out, "\n/// The programs, by name.\npub struct Progs<'a, B: Backend>(&'a Loaded<B>);").ok();
        writeln!(out, "\n{UNUSED}impl<'a, B: Backend> Progs<'a, B> {{").ok();
        for (i, program) in self.programs.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { "\n" });
            writeln!(out, "    /// The program of section `{}`; an error if it was not loaded.", program.section).ok();
            writeln!(out, "    pub fn {}(&self) -> Result<ProgramRef<'a, B>> {{", rust(&program.name)).ok();
            writeln!(out, "        self.0.program(\"{}\")\n    }}", program.name).ok();
        }
        writeln!(out, "}}").ok();
        self.links(out);
        Ok(())
    }

    /// What the programs are attached by, on the target that attaches.
    fn links(&self, out: &mut String) {
        let (mut fields, mut made) = (String::new(), String::new());
        for program in &self.programs {
            let (field, name) = (rust(&program.name), &program.name);
            writeln!(fields, "    /// Of `{name}`.\n    pub {field}: Option<alveary::kernel::attach::Link>,").ok();
            writeln!(made, "            {field}: self.loaded.attach_as_said(\"{name}\")?,").ok();
        }
        for map in self.maps.iter().filter(|map| map.is_interface()) {
            let (field, name) = (rust(&map.ident()), &map.spec.name);
            writeln!(fields, "    /// Of the kernel interface `{name}`.").ok();
            writeln!(fields, "    pub {field}: Option<alveary::kernel::attach::Link>,").ok();
            writeln!(made, "            {field}: self.loaded.register_if_made(\"{name}\")?,").ok();
        }
        let links = if fields.is_empty() {
            ("pub struct Links {}".to_owned(), "Links {}".to_owned())
        } else {
            (format!("pub struct Links {{\n{fields}}}"), format!("Links {{\n{made}        }}"))
        };
        let interfaces = self.maps.iter().any(Map::is_interface);
        let and = if interfaces { ", and registers the kernel interfaces" } else { "" };
        let text = LINKS
            .replace("$INTERFACES", and)
            .replace("$NAME", &self.name)
            .replace("$STRUCT", &links.0)
            .replace("$MADE", &links.1);
        out.push_str(&text);
    }

    /// The type of a map's field, and what makes one.
    fn map(&self, map: &Map<'_>) -> Result<(String, &'static str), Diagnostic> {
        let (Some(key), Some(value), Some(types)) = (map.spec.key_type, map.spec.value_type, &self.types) else {
            return Ok(("B::Map".to_owned(), "loaded.map(\"$NAME\")?.clone()"));
        };
        let (key, value) = (types.path(key, TYPES)?, types.path(value, TYPES)?);
        Ok(if is_per_cpu(map.spec.def.ty) {
            (format!("PerCpuMap<B::Map, {key}, {value}>"), "PerCpuMap::of(&loaded, \"$NAME\")?")
        } else {
            (format!("TypedMap<B::Map, {key}, {value}>"), "TypedMap::of(&loaded, \"$NAME\")?")
        })
    }

    /// The object's types that maps and variables have.
    fn types(&self, out: &mut String) -> Result<(), Diagnostic> {
        let Some(types) = &self.types else { return Ok(()) };
        let lints = LINTS.join(",\n    ");
        writeln!(
            out,
            "\n/// The object's types.\n#[allow(\n    {lints},\n    reason = \"generated\"\n)]\npub mod types {{"
        )
        .ok();
        writeln!(out, "    pub use ::alveary::skeleton::plain::*;").ok();
        writeln!(out, "    use ::alveary::skeleton::{{bits, enumeration, layout, variants}};").ok();
        writeln!(out, "    pub use ::core::ffi::{{c_char, c_void}};\n").ok();
        for line in types.definitions()?.lines() {
            let indent = if line.is_empty() { "" } else { "    " };
            writeln!(out, "{indent}{line}").ok();
        }
        writeln!(out, "}}").ok();
        Ok(())
    }

    fn path(&self, ty: TypeId) -> String {
        self.types.as_ref().and_then(|t| t.path(ty, TYPES).ok()).map(Into::into).unwrap_or_default()
    }
}

/// A struct whose fields are all of one type.
fn structure(out: &mut String, about: &str, name: &str, ty: &str, fields: &[(String, String)]) {
    if fields.is_empty() {
        writeln!(out, "\n/// {about}\npub struct {name} {{}}").ok();
        return;
    }
    writeln!(out, "\n/// {about}\npub struct {name} {{").ok();
    for (field, name) in fields {
        writeln!(out, "    /// `{name}`.\n    pub {field}: {ty},").ok();
    }
    writeln!(out, "}}").ok();
}

fn is_per_cpu(ty: MapType) -> bool {
    Tables::linux().map_types.iter().any(|row| row.ty == ty && row.per_cpu)
}

/// A name as Rust has them.
fn rust(name: &str) -> String {
    identifier(name).into_owned()
}

/// `count_bpf` as types are called: `CountBpf`.
fn camel(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    let name: String = name.split('_').map(word).collect();
    // The names of the module's own types stay theirs.
    match name.as_str() {
        "Links" | "Open" | "OpenMaps" | "OpenProgs" | "Maps" | "Progs" | "Object" | "Loader" | "Loaded" | "" => {
            name + "Object"
        }
        _ if name.starts_with(|c: char| c.is_ascii_digit()) => format!("Object{name}"),
        _ => name,
    }
}
