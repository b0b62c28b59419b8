//! Objects with programs for segments and routes, on both targets: what comes out of a router in a network namespace, with
//! real routes, comes out of the router in user space. Ours are held against each other by `cargo test`; other people's are
//! where `ALVEARY_OBJECTS` says (a folder), and a line is printed of each:
//!
//! `ALVEARY_OBJECTS=DIR cargo test -p alveary --test segments -- --nocapture`

mod lab;
#[path = "../../../net/tests/routes/packets.rs"]
#[expect(dead_code, reason = "the tests of `alveary-net` need more of it")]
mod packets;

use alveary::{
    Linux, Loaded, Loader, Object, Result, User,
    net::router::{Arrival, Fate, Programs, Router},
    runtime::{Clock, Engine},
};
use alveary_abi::ProgType;
use alveary_testing::bpf;
use lab::{Lab, OUT, router};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Types of programs that routes have.
const TYPES: [(ProgType, &str); 3] =
    [(ProgType::LWT_SEG6LOCAL, "lwt_seg6local"), (ProgType::LWT_IN, "lwt_in"), (ProgType::LWT_XMIT, "lwt_xmit")];

/// A program on both targets.
struct Both {
    linux: Loaded<Linux>,
    user: User,
    ours: Loaded<User>,
    router: Arc<Router>,
}

/// A packet, and what came of it on each target.
struct Came {
    name: String,
    kernel: Vec<Vec<u8>>,
    here: Vec<Vec<u8>>,
}

fn on_linux(object: &Object, name: &str, ty: ProgType) -> Result<Loaded<Linux>> {
    Loader::new(Linux::builder().build()).program(name).program_type(ty).named("segments").load(object)
}

fn on_user(object: &Object, name: &str, ty: ProgType) -> Result<(User, Loaded<User>, Arc<Router>)> {
    let router = Arc::new(router(ty));
    let clock = Clock::Virtual { start: 0 };
    let user = User::builder().clock(clock).engine(Engine::Jit).host(router.clone()).build();
    let loaded = Loader::new(user.clone()).program(name).program_type(ty).load(object)?;
    Ok((user, loaded, router))
}

impl Both {
    /// Sends all packets through both routers.
    fn run(&self, lab: &Lab, name: &str, ty: ProgType) -> Vec<Came> {
        let program = self.linux.program(name).expect("it was loaded");
        let _routes = lab.route(program.handle(), ty);
        let prog = self.ours.program(name).expect("it was loaded").handle().prog().clone();
        let mut programs = Programs::new(self.user.vcpu(0).expect("CPU 0"), vec![prog]);
        let came = packets().into_iter().map(|(name, packet)| {
            let here = match self.router.forward(&Arrival::of(&packet), &mut programs) {
                Fate::Sent { device: OUT, packet, .. } => vec![packet],
                _ => vec![],
            };
            Came { name, kernel: lab.through(&packet), here }
        });
        came.collect()
    }
}

/// Those of the router's own tests, and such as the kernel's self-tests send: four segments, a certain tag; without TLVs,
/// and on their way back with the address of an egress and padding.
fn packets() -> Vec<(String, Vec<u8>)> {
    const TAG: u16 = 2442;
    const ALERT: u8 = 1 << 4;
    let mut egress = vec![2, 18, 0, 0, 0xfd, 0];
    egress.resize(19, 0);
    egress.extend([4, 4, 2, 0, 0]);
    let mut all = packets::all();
    for (name, flags, tlvs) in [("four segments", 0, &[][..]), ("four segments, egress", ALERT, &egress)] {
        let mut header = packets::srh(17, 4, 3, tlvs);
        header[5] = flags;
        header[6..8].copy_from_slice(&TAG.to_be_bytes());
        all.push((name.to_owned(), packets::ipv6(43, &[header, packets::udp(b"delay, hybrid, discover")].concat())));
    }
    all
}

#[test]
fn our_programs_do_the_same_on_both_targets() {
    let Some(lab) = Lab::new("our programs on both targets") else { return };
    let names = ["end", "end_t", "end_dt6", "tag", "add_tlv"].map(|name| ("srv6-functions.bpf.o", name));
    for (file, name) in names.into_iter().chain([("srv6-oamp.bpf.o", "oamp"), ("srv6-delay.bpf.o", "end_dm")]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(file);
        let object = Object::open(path).expect("the object");
        let (user, ours, router) = on_user(&object, name, ProgType::LWT_SEG6LOCAL).expect("it loads");
        let linux = on_linux(&object, name, ProgType::LWT_SEG6LOCAL).expect("the kernel takes it");
        let all = Both { linux, user, ours, router }.run(&lab, name, ProgType::LWT_SEG6LOCAL);
        for came in &all {
            assert_eq!(came.here, came.kernel, "{name} on `{}`", came.name);
        }
        assert!(all.iter().any(|came| !came.kernel.is_empty()), "{name}: nothing came out");
    }
}

#[test]
fn others_programs_do_the_same_on_both_targets() {
    let Some(folder) = std::env::var_os("ALVEARY_OBJECTS") else {
        eprintln!("SKIP others' programs: ALVEARY_OBJECTS says no folder");
        return;
    };
    if !bpf::permitted("others' programs") {
        return;
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).expect("a folder").flatten().map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "o"));
    paths.sort();
    let mut differences = Vec::new();
    println!(
        "| object | program | as | kernel | here | packets | came out | the same |\n|---|---|---|---|---|---:|---:|---:|"
    );
    for path in &paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        match Object::open(path) {
            Ok(object) => {
                let mut names: Vec<_> =
                    object.spec().programs.iter().map(|(name, one)| (name.to_string(), one.ty)).collect();
                names.sort();
                names.iter().for_each(|(name, said)| differences.extend(one(&object, &file, name, *said)));
            }
            Err(why) => println!("| {file} | | | | {} | | | |", first_line(&why.to_string())),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// One program: prints its line, gives what differs. One whose section says no type is what the kernel first takes it for.
fn one(object: &Object, file: &str, name: &str, said: Option<ProgType>) -> Vec<String> {
    let fits = |(ty, _): &&(ProgType, &str)| said.is_none_or(|said| said == *ty);
    let taken = TYPES.iter().filter(fits).find_map(|kind| Some((kind, on_linux(object, name, kind.0).ok()?)));
    let Some(((ty, called), linux)) = taken else {
        let Some((ty, called)) = TYPES.iter().find(fits) else { return vec![] };
        let here = match on_user(object, name, *ty) {
            Ok(_) => "loads".to_owned(),
            Err(why) => first_line(&why.to_string()),
        };
        let kernel = on_linux(object, name, *ty).err().map_or_else(String::new, |why| first_line(&why.to_string()));
        println!("| {file} | {name} | {called} | {kernel} | {here} | | | |");
        return vec![];
    };
    let (user, ours, router) = match on_user(object, name, *ty) {
        Ok(loaded) => loaded,
        Err(why) => {
            println!("| {file} | {name} | {called} | loads | {} | | | |", first_line(&why.to_string()));
            return vec![format!("{file} {name}: the kernel alone takes it: {why}")];
        }
    };
    let lab = Lab::new("others' programs").expect("that is permitted");
    let all = Both { linux, user, ours, router }.run(&lab, name, *ty);
    let out = all.iter().filter(|came| !came.kernel.is_empty()).count();
    let same = all.iter().filter(|came| came.kernel == came.here).count();
    println!("| {file} | {name} | {called} | loads | loads | {} | {out} | {same} |", all.len());
    let differ = all.iter().filter(|came| came.kernel != came.here);
    differ.map(|came| format!("{file} {name} on `{}`\n {:02x?}\n {:02x?}", came.name, came.kernel, came.here)).collect()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(100).collect()
}
