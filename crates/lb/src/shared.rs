//! VIPs that are in etcd: the last value that was right is kept on disk, and holds when etcd does not answer, or has what is
//! wrong.

use crate::{
    Fault,
    config::{Config, Etcd},
    etcd::{self, Found},
};
use alveary_diag::{Diagnostic, Place};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

/// A value of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    /// What it is called in messages.
    pub(crate) name: String,
    pub(crate) text: String,
    /// 0: it was kept.
    pub(crate) revision: u64,
}

/// How it is with etcd.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Why nobody answers, if nobody does.
    pub(crate) gone: Option<String>,
    /// Why the latest value is not the one that holds, if it is not.
    pub(crate) refused: Option<String>,
}

impl Shared {
    pub(crate) fn of(etcd: &Etcd, found: Found) -> Result<Shared, Fault> {
        let name = format!("etcd:{}", etcd.key);
        match found.text {
            Some(text) => Ok(Shared { name, text, revision: found.revision }),
            None => {
                Err(Diagnostic::new("lb-etcd", "the value is no text (UTF-8)", Place::Nowhere).in_file(name).into())
            }
        }
    }

    fn kept(etcd: &Etcd) -> io::Result<Shared> {
        let (name, text) = (etcd.kept.display().to_string(), fs::read_to_string(&etcd.kept)?);
        // That of a machine that died before it was on the disk: it would take all VIPs away.
        if text.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is empty"));
        }
        Ok(Shared { name, text, revision: 0 })
    }

    /// Keeps it for when etcd does not answer.
    pub(crate) fn keep(&self, etcd: &Etcd) -> io::Result<()> {
        let folder = etcd.kept.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let new = etcd.kept.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(self.text.as_bytes())?;
        // Its name is not to be there before what is in it.
        file.sync_all()?;
        fs::rename(&new, &etcd.kept)?;
        File::open(folder)?.sync_all()
    }
}

/// The value to begin with, and the configuration that it makes: etcd's, or else the one that was kept.
pub(crate) fn first(
    etcd: &Etcd,
    read: &dyn Fn(&Shared) -> Result<Config, Vec<Fault>>,
    log: &mut dyn FnMut(&str),
) -> Result<(Shared, Config, Standing), Vec<Fault>> {
    let mut standing = Standing::default();
    let fault = |message: String| -> Fault { Diagnostic::new("lb-etcd", message, Place::Nowhere).into() };
    let mut faults = match etcd::fetch(etcd) {
        Ok(Some(found)) => {
            match Shared::of(etcd, found).map_err(|why| vec![why]).and_then(|one| Ok((read(&one)?, one))) {
                Ok((config, one)) => return Ok((one, config, standing)),
                Err(faults) => {
                    standing.refused = Some(words(&faults));
                    faults
                }
            }
        }
        Ok(None) => {
            standing.refused = Some("the key is not there".into());
            vec![fault(format!("etcd has no key `{}`", etcd.key))]
        }
        Err(why) => {
            standing.gone = Some(why.to_string());
            vec![fault(why.to_string())]
        }
    };
    match Shared::kept(etcd) {
        Ok(one) => {
            faults.iter().for_each(|fault| log(&fault.to_string()));
            log(&format!("VIPs are those that were kept in {}", one.name));
            read(&one).map(|config| (one, config, standing))
        }
        Err(why) => {
            let none = Diagnostic::new("lb-etcd", "no earlier value is kept", Place::Nowhere);
            faults.push(none.in_file(etcd.kept.display().to_string()).found(why.to_string()).into());
            Err(faults)
        }
    }
}

pub(crate) fn words(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose name was on the disk before its content was right, and said that there are no VIPs.
    #[test]
    fn an_empty_file_is_no_value_that_was_kept() {
        let folder = std::env::temp_dir().join(format!("alveary-lb-kept-{}", std::process::id()));
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\n[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\nkept = {:?}\n",
            folder.join("new/kept.toml")
        );
        let config = Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let etcd = config.etcd.expect("it is there");
        let kept = || Shared::kept(&etcd).map(|one| one.text).map_err(|why| why.to_string());
        let one = |text: &str| Shared { name: "etcd:/lb".into(), text: text.into(), revision: 1 };
        assert!(kept().is_err());
        for text in ["[[vip]]\n", "# none\n"] {
            one(text).keep(&etcd).expect("it is kept");
            assert_eq!(kept(), Ok(text.to_owned()));
        }
        File::create(&etcd.kept).expect("a file");
        assert_eq!(kept(), Err("the file is empty".into()));
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
