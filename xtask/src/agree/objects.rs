//! Objects below a folder, each with its programs resolved for this kernel, one by one.

use alveary_abi::{MapType, Profile, Version};
use alveary_btf::Btf;
use alveary_object::Options;
use alveary_spec::{Kernel, MapSpec, Program, Resolved, Spec};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// An object.
pub(crate) struct Object {
    /// Name of the folder in which it stands.
    pub(crate) corpus: String,
    pub(crate) file: PathBuf,
    pub(crate) spec: Spec,
}

/// The kernel that runs here, as a value.
pub(crate) fn this_kernel() -> Result<Kernel, String> {
    let told = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    let release = told("osrelease");
    let mut kernel = Kernel::of(profile(&release, &told("version")));
    // Kernels without types verify, too; programs that ask for some are then not resolved.
    if let Ok(bytes) = fs::read("/sys/kernel/btf/vmlinux") {
        kernel.btf = Some(Arc::new(Btf::read(&bytes, None).map_err(|e| e.to_string())?));
    }
    kernel.cpus = alveary_linux::sys::possible_cpus().unwrap_or(1) as u32;
    kernel.kconfig = config(&release);
    kernel.symbols = fs::read_to_string("/proc/kallsyms").ok().map(|text| {
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            Some((words.nth(1)?.to_owned(), address))
        };
        Arc::new(text.lines().filter_map(line).collect())
    });
    Ok(kernel)
}

/// What the kernel of this release accepts. Debian names its releases by the interface of their modules (`6.1.0-56`), and
/// tells the stable level where others tell when it was built (`#1 SMP Debian 6.1.192-2 (2026-11-16)`).
fn profile(release: &str, built: &str) -> Profile {
    let debian = built.split_once("Debian ").map(|(_, version)| version);
    let version = debian.unwrap_or(release).split(|c: char| !c.is_ascii_digit());
    let mut numbers = version.map_while(|number| number.parse::<u16>().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { return Profile::linux(Version::NEWEST) };
    let level = numbers.next().unwrap_or_default().min(255) as u8;
    Profile::linux(Version(major, minor)).at_level(level)
}

/// Its configuration, if it is to be had.
fn config(release: &str) -> std::collections::BTreeMap<String, String> {
    let packed = std::process::Command::new("zcat").arg("/proc/config.gz").output();
    let text = match packed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => fs::read_to_string(format!("/boot/config-{}", release.trim())).unwrap_or_default(),
    };
    alveary_object::parse_kconfig("config", &text).unwrap_or_default()
}

/// Every object below `folder` (or the one file that it is), by name.
pub(crate) fn find(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    if folder.is_file() {
        found.push(folder.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "o") {
            found.push(path);
        }
    }
    Ok(())
}

impl Object {
    /// Reads an object of this machine's byte order.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(file: &Path, kernel: &Kernel) -> Result<Object, String> {
        let bytes = fs::read(file).map_err(|e| e.to_string())?;
        let spec = alveary_object::read_with(&bytes, &kernel.profile).map_err(|e| e.to_string())?;
        if spec.endian != alveary_isa::Endian::HOST {
            return Err("for machines of the other byte order".into());
        }
        let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
        Ok(Object { corpus: folder.to_string_lossy().into_owned(), file: file.to_owned(), spec })
    }

    /// Name of the file.
    pub(crate) fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Its programs by name, in the file's order.
    pub(crate) fn programs(&self) -> Vec<&str> {
        let mut programs: Vec<_> = self.spec.programs.values().collect();
        programs.sort_by_key(|p| p.order);
        programs.into_iter().map(|p| p.name.as_str()).collect()
    }

    /// One program for `kernel`, with its maps as they are made there.
    ///
    /// # Errors
    /// Why it cannot be resolved.
    pub(crate) fn resolve(&self, program: &str, kernel: &Kernel) -> Result<(Arc<Program>, Resolved), String> {
        let options = Options { programs: Some(vec![program.to_owned()]), ..Options::default() };
        let mut resolved = alveary_object::resolve(&self.spec, kernel, &options)
            .map_err(|all| format!("not resolved: {}", all.first().map_or_else(String::new, ToString::to_string)))?;
        for map in resolved.maps.values_mut() {
            fit(map, kernel);
        }
        let found = resolved.programs.iter().find(|p| &*p.name == program).cloned();
        found.map(|program| (program, resolved)).ok_or_else(|| "not among the resolved".into())
    }
}

/// What a loader does to sizes, where it leaves them out what a program's own loader may set, and fewer entries where
/// nothing but memory depends on their number.
fn fit(map: &mut MapSpec, kernel: &Kernel) {
    const ENOUGH: u32 = 4096;
    const FRAMES: u32 = 127;
    let def = &mut map.def;
    match def.ty {
        MapType::RINGBUF | MapType::USER_RINGBUF => {
            def.max_entries = def.max_entries.max(kernel.page).checked_next_power_of_two().unwrap_or(def.max_entries);
        }
        MapType::HASH | MapType::LRU_HASH | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH if def.max_entries > 0 => {
            def.max_entries = def.max_entries.min(ENOUGH);
        }
        MapType::STACK_TRACE if def.value_size == 0 => def.value_size = 8 * FRAMES,
        _ => {}
    }
    if def.max_entries == 0 && ENTRIES.contains(&def.ty) {
        def.max_entries = kernel.cpus;
    }
    if let Some(inner) = &mut map.inner {
        fit(inner, kernel);
    }
}

/// Maps that need entries; others must have none.
const ENTRIES: &[MapType] = &[
    MapType::ARRAY,
    MapType::PERCPU_ARRAY,
    MapType::HASH,
    MapType::PERCPU_HASH,
    MapType::LRU_HASH,
    MapType::LRU_PERCPU_HASH,
    MapType::PERF_EVENT_ARRAY,
    MapType::STACK_TRACE,
    MapType::DEVMAP,
    MapType::CPUMAP,
    MapType::XSKMAP,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_known_by_its_stable_level() {
        let name = |release, built| profile(release, built).release();
        assert_eq!(name("6.18.44-cloud", "#1 SMP PREEMPT_DYNAMIC @0"), "6.18.44");
        assert_eq!(name("6.1.0-56-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"), "6.1.192");
    }
}
