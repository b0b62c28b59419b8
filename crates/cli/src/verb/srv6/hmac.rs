//! `alveary srv6 hmac`: the keys by which headers are signed and checked.

use super::refused::refused;
use crate::{failure::Failure, files, output};
use alveary::{
    kernel::netlink::srv6::{Algorithm, HmacKey, hmac_keys, set_hmac_key},
    net::seg6::MOST_SECRET,
};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use serde_json::json;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Show, set and remove the keys of HMACs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 hmac set 7 sha256 --secret key.txt
  alveary srv6 hmac show
  alveary srv6 hmac del 7")]
pub(super) struct Hmac {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the keys, without their secrets
    Show,
    /// Set a key, in the place of one with this number
    Set {
        /// Number by which headers name it
        #[arg(value_name = "KEY", value_parser = clap::value_parser!(u32).range(1..))]
        key: u32,
        /// How HMACs are computed
        #[arg(value_enum, value_name = "ALGORITHM")]
        algorithm: Name,
        /// The file that holds the secret, 1 to 64 bytes, a line break at its end aside; `-` is stdin
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = files::input)]
        secret: PathBuf,
    },
    /// Remove a key
    Del {
        /// Its number
        #[arg(value_name = "KEY")]
        key: u32,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// HMAC-SHA-1
    Sha1,
    /// HMAC-SHA-256, which RFC 8754 asks for
    Sha256,
}

impl From<Name> for Algorithm {
    fn from(name: Name) -> Algorithm {
        match name {
            Name::Sha1 => Algorithm::Sha1,
            Name::Sha256 => Algorithm::Sha256,
        }
    }
}

impl Hmac {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Show => show(json),
            Action::Set { key, algorithm, secret } => {
                let bytes = read_secret(secret).map_err(|why| Failure::file("read", secret, &why))?;
                if bytes.is_empty() || bytes.len() > MOST_SECRET {
                    return Err(Diagnostic::new("srv6", "this is no secret of an HMAC", Place::Nowhere)
                        .expected(format!("1 to {MOST_SECRET} bytes"))
                        .found(format!("{} bytes", bytes.len()))
                        .in_file(secret.display().to_string())
                        .into());
                }
                let key = HmacKey { id: *key, algorithm: (*algorithm).into(), secret: bytes };
                set_hmac_key(&key).map_err(|why| refused(format!("key {} cannot be set", key.id), &why))?;
                done(json, "set", key.id)
            }
            Action::Del { key } => {
                let none = HmacKey { id: *key, algorithm: Algorithm::Sha256, secret: Vec::new() };
                set_hmac_key(&none).map_err(|why| refused(format!("key {key} cannot be removed"), &why))?;
                done(json, "deleted", *key)
            }
        }
    }
}

/// A secret from a file, without the line break at its end.
pub(super) fn read_secret(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = fs::read(file)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

fn done(json: bool, what: &str, key: u32) -> Result<(), Failure> {
    if json { output::object(&json!({ what: key })) } else { output::plain(&format!("{what} key {key}\n")) }
}

fn show(json: bool) -> Result<(), Failure> {
    let keys = hmac_keys().map_err(|why| refused("the kernel does not tell its keys", &why))?;
    let name = |key: &HmacKey| match key.algorithm {
        Algorithm::Sha1 => "sha1",
        Algorithm::Sha256 => "sha256",
    };
    if json {
        let all: Vec<_> = keys
            .iter()
            .map(|key| json!({ "key": key.id, "algorithm": name(key), "secret_bytes": key.secret.len() }))
            .collect();
        return output::object(&json!({ "keys": all }));
    }
    output::write(|out| {
        keys.iter()
            .try_for_each(|key| writeln!(out, "key {} {} secret of {} bytes", key.id, name(key), key.secret.len()))
    })
}
