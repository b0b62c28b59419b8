//! Native code that `alveary run` keeps.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use crate::session::Session;
use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

/// A program that takes long enough to compile.
fn large() -> String {
    let work: String = (0..600).map(|n| format!("    r3 = *(u8 *)(r1 + {})\n    r0 ^= r3\n", n % 14)).collect();
    format!(
        "\
.section xdp
large:
    r2 = *(u32 *)(r1 + 4)
    r1 = *(u32 *)(r1 + 0)
    r0 = 2
    r3 = r1
    r3 += 14
    if r3 > r2 goto end
{work}    r0 |= 2
    r0 &= 2
end:
    exit
"
    )
}

fn session() -> Session {
    let session = Session::new().example("traffic.pcap").file("large.s", large());
    assert_eq!(session.output("asm large.s -o large.o").code, Some(0));
    session
}

/// The images in a session's cache: their paths and contents.
fn images(session: &Session) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(session.directory().join("cache/alveary")) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let images = paths.filter(|path| path.extension().is_some_and(|extension| extension == "image"));
    images.map(|path| (path.clone(), fs::read(path).expect("it is ours"))).collect()
}

fn verdicts(session: &Session, options: &str) -> String {
    let output = session.output(&format!("run large.o --pcap traffic.pcap {options} --json"));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let (_, rest) = output.stdout.split_once("\"verdicts\":").expect("there are some");
    rest.split('}').next().unwrap_or_default().to_owned()
}

#[test]
fn a_run_keeps_native_code_that_later_runs_link_again() {
    let session = session();
    let interpreted = verdicts(&session, "--engine interp");
    assert_eq!(images(&session), []);
    assert_eq!(verdicts(&session, "--engine jit --no-cache"), interpreted);
    assert_eq!(images(&session), []);
    assert_eq!(verdicts(&session, "--engine jit"), interpreted);
    let kept = images(&session);
    let [(path, image)] = &kept[..] else { panic!("{} images", kept.len()) };
    let secret = fs::metadata(path.with_file_name("secret")).expect("there is one");
    assert_eq!((secret.mode() & 0o777, secret.len()), (0o600, 32));
    assert_eq!(fs::metadata(path.parent().expect("a directory")).expect("it is there").mode() & 0o777, 0o700);
    assert_eq!(verdicts(&session, "--engine jit"), interpreted);
    assert_eq!(images(&session), kept);
    // What was changed is not run, and written anew.
    let mut changed = image.clone();
    *changed.last_mut().expect("it has code") ^= 1;
    fs::write(path, &changed).expect("it is ours");
    assert_eq!(verdicts(&session, "--engine jit"), interpreted);
    assert_eq!(images(&session), kept);
}

#[test]
fn a_directory_that_is_not_the_users_own_alone_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let session = session();
    let directory = session.directory().join("cache/alveary");
    fs::create_dir_all(&directory).expect("it is new");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("it is ours");
    verdicts(&session, "--engine jit");
    assert_eq!(fs::read_dir(&directory).expect("it is there").count(), 0);
    let said = |options: &str| session.output(&format!("run large.o --pcap traffic.pcap {options}")).stderr;
    let warning = said("--engine jit");
    assert_eq!(warning.lines().filter(|line| line.contains("native code cannot be kept in")).count(), 1, "{warning}");
    assert!(warning.contains("others may write to it; remove what is there"), "{warning}");
    assert!(!said("--engine jit --no-cache").contains("cannot be kept"));
}
