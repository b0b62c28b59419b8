//! Packages of Debian's releases, by the machine's own apt but apart from what is installed: lists, downloads and
//! unpacked files stay in `target/vm/`. A folder that is there is used as it is; removing it renews it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Outcome,
    process::{self, command},
};

/// The releases whose packages are used.
const SOURCES: &str = "\
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm trixie sid
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
";

/// Why Debian's packages cannot be had, if they cannot.
pub(super) fn obstacle() -> Option<String> {
    let tools = ["apt-get", "dpkg-deb", "xz"];
    tools.iter().find(|tool| !process::exists(tool)).map(|tool| format!("{tool} is not installed"))
}

/// Where all this stays.
pub(super) fn folder() -> PathBuf {
    process::target().join("vm")
}

/// The packages that `names` picks from the lists, unpacked into `target/vm/NAME`; downloaded once.
pub(super) fn unpacked(
    name: &str,
    names: impl FnOnce(&Archive) -> Result<Vec<String>, String>,
) -> Result<PathBuf, String> {
    let whole = folder().join(name);
    if whole.is_dir() {
        return Ok(whole);
    }
    let archive = Archive::open()?;
    let names = names(&archive)?;
    let downloads = folder().join(format!("{name}.download"));
    fresh(&downloads)?;
    eprintln!("downloading {}", names.join(" "));
    let mut get = archive.command("apt-get", &["-qq", "download"]);
    process::run(get.args(names).current_dir(&downloads))?;
    let part = folder().join(format!("{name}.part"));
    fresh(&part)?;
    for package in files(&downloads)? {
        process::run(command("dpkg-deb", &["-x"]).arg(&package).arg(&part))?;
    }
    fs::rename(&part, &whole).map_err(|error| format!("{}: {error}", whole.display()))?;
    fs::remove_dir_all(&downloads).map_err(|error| format!("{}: {error}", downloads.display()))?;
    Ok(whole)
}

/// The lists of packages.
pub(super) struct Archive {
    configuration: PathBuf,
}

impl Archive {
    /// Fetches the lists, unless they are there.
    fn open() -> Result<Archive, String> {
        let root = folder().join("apt");
        let archive = Archive { configuration: root.join("apt.conf") };
        if archive.configuration.is_file() {
            return Ok(archive);
        }
        for part in ["lists/partial", "archives/partial", "sources"] {
            fs::create_dir_all(root.join(part)).map_err(|error| format!("{}: {error}", root.display()))?;
        }
        let put = |name: &str, text: &str| fs::write(root.join(name), text).map_err(|error| format!("{name}: {error}"));
        let at = root.display();
        // An empty status: nothing counts as installed, so that dependencies come complete.
        put("status", "")?;
        put("sources/debian.sources", SOURCES)?;
        put(
            "new.conf",
            &format!(
                "Dir::State \"{at}\";\nDir::State::status \"{at}/status\";\nDir::Cache \"{at}\";\n\
                 Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \"{at}/sources\";\n\
                 APT::Sandbox::User \"\";\nAPT::Architecture \"amd64\";\nAPT::Default-Release \"sid\";\n\
                 APT::Install-Recommends \"false\";\nDebug::NoLocking \"true\";\n"
            ),
        )?;
        let new = Archive { configuration: root.join("new.conf") };
        eprintln!("fetching Debian's lists of packages");
        process::run(&mut new.command("apt-get", &["-qq", "update"]))?;
        fs::rename(&new.configuration, &archive.configuration).map_err(|error| error.to_string())?;
        Ok(archive)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = command(program, arguments);
        command.env("APT_CONFIG", &self.configuration).env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Names of packages that begin so.
    pub(super) fn names(&self, prefix: &str) -> Result<Vec<String>, String> {
        let names = process::output(&mut self.command("apt-cache", &["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// A package of the newest release with all that it depends on.
    pub(super) fn closure(&self, package: &str) -> Result<Vec<String>, String> {
        let plan = process::output(&mut self.command("apt-get", &["-y", "--simulate", "install", package]))?;
        Ok(plan
            .lines()
            .filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next())
            .map(|name| name.split(':').next().unwrap_or(name).to_owned())
            .collect())
    }
}

fn fresh(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// What a folder holds, by name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
