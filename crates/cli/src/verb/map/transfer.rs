//! `alveary map export` and `import`: a map as JSON, with its types, and the map again.

use super::{create::map_type, entry::Elements, walk::walk};
use crate::{
    bpftool::{
        bytes,
        json::{Json, Verbatim},
        options::{Options, Shape},
        pins, select, usage,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_abi::Profile;
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::{
    FdInfo,
    sys::{self, BtfLoad, Map, MapCreate, Object, PathFlags},
};
use clap::{Args, ValueHint};
use serde::Deserialize;
use std::{
    fs,
    io::{self, Read},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

/// Print a map as JSON: what it is, its types, and all its elements
///
/// `map import` makes the same map of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary map export name services > services.json
  alveary map import services.json pinned /sys/fs/bpf/services")]
pub(super) struct Export {
    /// `id ID`, `name NAME` or `pinned FILE`
    #[arg(value_name = "MAP", required = true)]
    words: Vec<String>,
}

impl Export {
    pub(super) fn run(&self, options: Options) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let map = Elements::of(select::map(&mut words)?)?;
        words.end()?;
        if map.holds_maps() || map.holds_programs() {
            return Err(Diagnostic::new("wrong-kind", "what this map holds is not data", Place::Nowhere)
                .expected("a map of values")
                .found("a map of programs or of maps: they live in the kernel alone")
                .into());
        }
        let types = match map.info.btf_id {
            0 => None,
            id => Some(sys::btf_info(sys::open_id(Object::Btf, id, 0, None)?.as_fd(), true)?.bytes),
        };
        let mut wrong = None;
        output::bare(|out| {
            let pretty = options.shape(true) == Shape::Json { pretty: true };
            Json::new(&mut *out, pretty).object(|json| {
                header(&map, types.as_deref(), json)?;
                json.name("elements")?;
                json.array(|json| {
                    let walked = walk(&map, |key, value| match value {
                        Ok(value) => Ok(map.json(key, value, json)?),
                        // It went while we looked.
                        Err(_) => Ok(()),
                    });
                    wrong = walked.err();
                    Ok(())
                })
            })?;
            writeln!(out)
        })?;
        wrong.map_or(Ok(()), Err)
    }
}

fn header(map: &Elements, types: Option<&[u8]>, json: &mut Json<'_>) -> io::Result<()> {
    let info = &map.info;
    match Profile::linux_6_18().map_type(info.ty) {
        Some(row) => json.field("type", row.name)?,
        None => json.field("type", &info.ty.0.to_string())?,
    }
    json.field("name", &info.name)?;
    json.field("bytes_key", info.key_size)?;
    json.field("bytes_value", info.value_size)?;
    json.field("max_entries", info.max_entries)?;
    json.field("flags", info.map_flags)?;
    json.field("extra", info.map_extra)?;
    json.field("frozen", FdInfo::of(map.map.as_fd()).number("frozen").unwrap_or(0))?;
    let Some(types) = types else { return Ok(()) };
    json.name("btf")?;
    json.object(|json| {
        json.field("key_type_id", info.btf_key_type.0)?;
        json.field("value_type_id", info.btf_value_type.0)?;
        json.name("bytes")?;
        let hex: String = types.iter().map(|byte| format!("{byte:02x}")).collect();
        json.value(Verbatim(format_args!("\"{hex}\"")))
    })
}

/// Make a map from what `map export` printed, or fill one
///
/// Keys and values are read from their bytes; `formatted`, which shows them by their types, is for people.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary map import services.json pinned /sys/fs/bpf/services
  alveary map export id 7 | alveary map import - into name backup")]
pub(super) struct Import {
    /// The file, or `-` for what is piped in; then `pinned PATH`, where the new map is to be, or `into MAP`
    #[arg(value_name = "FILE pinned PATH | FILE into MAP", required = true, value_hint = ValueHint::FilePath)]
    words: Vec<String>,
}

impl Import {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let file = PathBuf::from(words.must("a file, or `-`")?);
        let exported = Exported::read(&file)?;
        if words.is("into") {
            let map = Elements::of(select::map(&mut words)?)?;
            words.end()?;
            exported.fill(&map, &file)?;
        } else if words.is("pinned") {
            let path = words.must("a path in a BPF file system")?;
            words.end()?;
            let map = Elements::of(exported.create()?.into())?;
            exported.fill(&map, &file)?;
            if exported.frozen != 0 {
                map.map.freeze()?;
            }
            let path = Path::new(path);
            pins::pin(path, options.nomount, || sys::obj_pin(map.map.as_fd(), path, PathFlags::default()))?;
        } else {
            return Err(words.unexpected("`pinned PATH` or `into MAP`"));
        }
        options.shape(json).done()
    }
}

/// What `map export` prints.
#[derive(Deserialize)]
struct Exported {
    #[serde(rename = "type")]
    ty: String,
    name: String,
    bytes_key: u32,
    bytes_value: u32,
    max_entries: u32,
    flags: u32,
    #[serde(default)]
    extra: u64,
    #[serde(default)]
    frozen: u64,
    btf: Option<Types>,
    elements: Vec<Element>,
}

#[derive(Deserialize)]
struct Types {
    key_type_id: u32,
    value_type_id: u32,
    bytes: String,
}

/// With one value, or with one for each CPU.
#[derive(Deserialize)]
struct Element {
    key: Vec<String>,
    value: Option<Vec<String>>,
    values: Option<Vec<OfCpu>>,
}

#[derive(Deserialize)]
struct OfCpu {
    value: Vec<String>,
}

impl Exported {
    fn read(file: &Path) -> Result<Exported, Failure> {
        let mut text = String::new();
        let read = if file == Path::new("-") {
            io::stdin().read_to_string(&mut text).map(drop)
        } else {
            fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)).map(drop)
        };
        read.map_err(|why| Failure::file("read", file, &why))?;
        Ok(serde_json::from_str(&text).map_err(|why| wrong(file, &why.to_string()))?)
    }

    fn create(&self) -> Result<Map, Failure> {
        let types = match &self.btf {
            None => None,
            Some(types) => {
                let bytes =
                    hex(&types.bytes).ok_or_else(|| usage("the bytes of the types are no hexadecimal digits"))?;
                Some((BtfLoad { bytes: &bytes, token: None }.load()?, types))
            }
        };
        let ids = types.as_ref().map_or((0, 0), |(_, types)| (types.key_type_id, types.value_type_id));
        let btf = types.as_ref().filter(|_| ids != (0, 0)).map(|(fd, _)| fd.as_fd());
        let create = MapCreate {
            map_type: map_type(&self.ty)?,
            key_size: self.bytes_key,
            value_size: self.bytes_value,
            max_entries: self.max_entries,
            map_flags: self.flags,
            map_extra: self.extra,
            name: &self.name,
            btf,
            btf_key_type: TypeId(ids.0),
            btf_value_type: TypeId(ids.1),
            ..MapCreate::default()
        };
        Ok(create.create()?)
    }

    fn fill(&self, map: &Elements, file: &Path) -> Result<(), Failure> {
        for (index, element) in self.elements.iter().enumerate() {
            let (key, value) = element.bytes(map).ok_or_else(|| {
                wrong(file, &format!("element {index} does not fit")).expected(format!(
                    "keys of {} bytes, values of {}",
                    map.map.key_size(),
                    map.info.value_size
                ))
            })?;
            map.map.update(&key, &value, 0)?;
        }
        Ok(())
    }
}

impl Element {
    /// Key and value as the map takes them; `None` if they are no bytes, or not as many as its own.
    fn bytes(&self, map: &Elements) -> Option<(Vec<u8>, Vec<u8>)> {
        let all = |texts: &[String]| texts.iter().map(|text| bytes::one(text)).collect::<Option<Vec<u8>>>();
        let size = map.info.value_size as usize;
        let value = match (&self.value, &self.values) {
            (Some(value), None) => map.for_all_cpus(&all(value).filter(|value| value.len() == size)?),
            (None, Some(values)) => {
                let mut cpus = Vec::new();
                for one in values {
                    cpus.extend(all(&one.value).filter(|value| value.len() == size)?);
                    cpus.resize(cpus.len().next_multiple_of(8), 0);
                }
                cpus
            }
            _ => return None,
        };
        let key = all(&self.key)?;
        (key.len() == map.map.key_size() && value.len() == map.map.value_size()).then_some((key, value))
    }
}

fn wrong(file: &Path, why: &str) -> Diagnostic {
    Diagnostic::new("import", format!("this is no map that was exported: {why}"), Place::Nowhere)
        .in_file(file.display().to_string())
        .help("`alveary map export MAP` prints one")
}

/// Bytes of two hexadecimal digits each.
fn hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok()).collect()
}
