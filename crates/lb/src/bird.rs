//! BIRD, the routing daemon: what it is told in a file that its configuration includes, and its control socket.

use crate::config::Announce;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{self, BufRead, BufReader, Write},
    net::IpAddr,
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long it may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines of an answer that are read.
const LINES: usize = 10_000;
/// From this code on an answer says that something is wrong.
const WRONG: u16 = 8000;
/// Characters of what names of a balancer's protocols begin with. BIRD takes symbols of 64 (`SYM_MAX_LEN` in its `conf/conf.h`); `_peer`
/// and a number of seven digits follow, which is more peers than a configuration has room for.
const PREFIX: usize = 52;
/// Characters of a long name that stand before its hash.
const BEGIN: usize = 20;

/// The part of BIRD's configuration that is ours: a route to each address, and the peers that are told of them.
#[must_use]
pub fn text(name: &str, announce: &Announce, addresses: &BTreeSet<IpAddr>) -> String {
    let name = protocol(name);
    let mut text = "# `alveary lb serve` writes this file, and anew when something changes.\n".to_owned();
    for (family, bits, is_it) in [(4, 32, IpAddr::is_ipv4 as fn(&IpAddr) -> bool), (6, 128, IpAddr::is_ipv6)] {
        // There is always room in a text.
        let _ = writeln!(text, "protocol static {name}_{family} {{\n\tipv{family};");
        for address in addresses.iter().filter(|address| is_it(address)) {
            // Packets never come to the kernel's routes: the program has them before.
            let _ = writeln!(text, "\troute {address}/{bits} blackhole;");
        }
        text += "}\n";
    }
    let Some(own) = announce.number else { return text };
    if let Some(interval) = announce.bfd {
        let _ = writeln!(
            text,
            "protocol bfd {name}_bfd {{\n\tinterface \"*\" {{ interval {} ms; multiplier 3; }};\n}}",
            interval.as_millis().max(1)
        );
    }
    for (number, peer) in (1..).zip(&announce.peers) {
        let family = if peer.address.is_ipv4() { 4 } else { 6 };
        let bfd = if announce.bfd.is_some() { "\tbfd on;\n" } else { "" };
        let _ = writeln!(
            text,
            "protocol bgp {name}_peer{number} {{\n\tlocal as {own};\n\tneighbor {} as {};\n\tconnect delay time 1;\n{bfd}\
             \tipv{family} {{ import none; export where proto = \"{name}_{family}\"; }};\n}}",
            peer.address, peer.number
        );
    }
    text
}

/// What names of a balancer's protocols begin with. They have no hyphens; a balancer whose name has underscores is called otherwise,
/// so that `a-b` and `a_b`, which one BIRD may serve both, are not the same. Where that is too long, the name's beginning and its
/// hash stand for it.
fn protocol(name: &str) -> String {
    let plain = |name: &str| name.replace('-', "_");
    let whole = if name.contains('_') {
        format!("alveary_lbx_{}", name.replace('_', "__").replace('-', "_h"))
    } else {
        format!("alveary_lb_{}", plain(name))
    };
    if whole.len() <= PREFIX {
        return whole;
    }
    let begin: String = name.chars().take(BEGIN).collect();
    let hash: String = Sha256::digest(name).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("alveary_lbh_{}_{hash}", plain(&begin))
}

/// Has BIRD announce these addresses, and no others of ours.
///
/// # Errors
/// The file cannot be written; BIRD does not answer, or not take it.
pub fn announce(name: &str, announce: &Announce, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
    tell(&announce.file, &announce.bird, &text(name, announce, addresses))
}

/// Puts a text into the file that BIRD includes, and has it read that.
///
/// # Errors
/// As above.
pub fn tell(file: &Path, bird: &Path, text: &str) -> io::Result<()> {
    put(file, text)?;
    configure(bird)
}

/// Puts a text into the file that BIRD includes.
pub(crate) fn put(file: &Path, text: &str) -> io::Result<()> {
    // What includes `*.conf` is not to see it half.
    let new = file.with_extension("new");
    let wrong = |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", file.display()));
    // A machine that begins anew has nothing below /run, and BIRD may come later.
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(&new, text)).and_then(|()| fs::rename(&new, file)).map_err(wrong)
}

/// Has BIRD read its configuration.
pub(crate) fn configure(bird: &Path) -> io::Result<()> {
    let (code, said) = ask(bird, "configure")
        .map_err(|why| io::Error::new(why.kind(), format!("BIRD does not answer at {}: {why}", bird.display())))?;
    if code < WRONG { Ok(()) } else { Err(io::Error::other(format!("BIRD: {}", said.trim()))) }
}

/// Asks BIRD something; the answer's last code, and its text.
///
/// # Errors
/// The system's; what is no answer.
pub fn ask(socket: &Path, command: &str) -> io::Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    answer(&mut answers)?;
    stream.write_all(format!("{command}\n").as_bytes())?;
    answer(&mut answers)
}

/// An answer: lines `CODE-text` (or a blank and text: the same code), up to `CODE text`.
fn answer(from: &mut dyn BufRead) -> io::Result<(u16, String)> {
    let mut text = String::new();
    for _ in 0..LINES {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(same) = line.strip_prefix([' ', '+']) {
            text += same;
            continue;
        }
        let none = || io::Error::from(io::ErrorKind::InvalidData);
        let code: u16 = line.get(..4).and_then(|code| code.parse().ok()).ok_or_else(none)?;
        text += line.get(5..).ok_or_else(none)?;
        match line.as_bytes()[4] {
            b'-' => {}
            b' ' => return Ok((code, text)),
            _ => return Err(none()),
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proptest::prelude::*;

    fn config(more: &str) -> Config {
        let text = format!("[balancer]\nname = \"a-b\"\ndevices = [\"eth0\"]\n[announce]\nfile = \"/x.conf\"\n{more}");
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
    }

    #[test]
    fn the_file_is_there_when_bird_comes() {
        let folder = std::env::temp_dir().join(format!("alveary-lb-bird-{}", std::process::id()));
        let file = folder.join("run/bird/routes.conf");
        let why = tell(&file, &folder.join("bird.ctl"), "# nothing").expect_err("nobody answers");
        assert!(why.to_string().starts_with("BIRD does not answer"), "{why}");
        assert_eq!(fs::read_to_string(file).expect("it was written"), "# nothing");
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn routes_and_peers() {
        let config = config("as = 65001\nbfd = \"100ms\"\n[[announce.peer]]\naddress = \"10.0.0.1\"\nas = 65000\n");
        let addresses = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().expect("an address")).into();
        let text = text(&config.name, config.announce.as_ref().expect("it is there"), &addresses);
        for part in [
            "protocol static alveary_lb_a_b_4 {\n\tipv4;\n\troute 192.0.2.1/32 blackhole;\n}\n",
            "protocol static alveary_lb_a_b_6 {\n\tipv6;\n\troute 2001:db8::1/128 blackhole;\n}\n",
            "interval 100 ms;",
            "neighbor 10.0.0.1 as 65000;",
            "\tbfd on;\n",
            "export where proto = \"alveary_lb_a_b_4\";",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn without_a_number_nobody_is_a_peer() {
        let config = config("");
        let text = text(&config.name, config.announce.as_ref().expect("it is there"), &BTreeSet::new());
        assert!(!text.contains("bgp") && !text.contains("route "), "{text}");
    }

    /// BIRD takes no symbol of more than 64 characters, and nothing of a file that has one.
    #[test]
    fn names_fit_however_long_the_balancers_is() {
        let peers: String = (1..=1000)
            .map(|at| format!("[[announce.peer]]\naddress = \"10.0.{}.{}\"\nas = 65000\n", at / 250, at % 250 + 1))
            .collect();
        let config = config(&format!("as = 65001\nbfd = \"100ms\"\n{peers}"));
        let mut seen = BTreeSet::new();
        // The longest names that a balancer can have, and the last of each kind that are not cut.
        for name in ["a", "-", "_", "a-", "a_", "-_"].map(|letters| letters.repeat(64)) {
            for length in [20, 21, 40, 41, 42, 63, 64] {
                let text = text(&name[..length], config.announce.as_ref().expect("it is there"), &BTreeSet::new());
                let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let symbols: BTreeSet<&str> = words.filter(|word| word.starts_with("alveary_lb")).collect();
                assert_eq!(symbols.len(), 2 + 1 + 1000, "routes of either family, BFD, peers");
                for symbol in symbols {
                    assert!(symbol.len() <= 64, "{symbol}");
                    assert!(seen.insert(symbol.to_owned()), "two balancers have {symbol}");
                }
            }
        }
    }

    /// Who has names that fit keeps them: filters in `bird.conf` name them.
    #[test]
    fn names_that_fit_are_not_cut() {
        assert_eq!(protocol(&"a-".repeat(20)), format!("alveary_lb_{}", "a_".repeat(20)));
        assert_eq!(protocol(&"_".repeat(20)), format!("alveary_lbx_{}", "_".repeat(40)));
    }

    #[test]
    fn answers_are_read_to_their_end() {
        let said = "0002-Reading configuration\n more\n0003 Reconfigured\nnot read";
        assert_eq!(
            answer(&mut said.as_bytes()).expect("one"),
            (3, "Reading configuration\nmore\nReconfigured\n".into())
        );
        for none in ["", "0002-and then nothing\n", "x\n", "12 x\n", "0002", "0002*x\n", "\u{e9}\u{e9}\u{e9}x y\n"] {
            assert!(answer(&mut none.as_bytes()).is_err(), "{none:?}");
        }
    }

    proptest! {
        /// `a-b` and `a_b` had the same protocols: the later one's replaced the other's routes, or BIRD took neither.
        #[test]
        fn no_two_balancers_have_the_same_protocols(one in "[ah_-]{1,6}", other in "[ah_-]{1,6}") {
            prop_assert_eq!(protocol(&one) == protocol(&other), one == other, "{} {}", one, other);
            prop_assert!(protocol(&one).chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        }

        #[test]
        fn nor_have_two_with_long_names(one in "(ab|[ah_-]){30,32}", other in "(ab|[ah_-]){30,32}", last in "[ah_-]") {
            for (one, other) in [(&one, &other), (&one, &format!("{}{last}", &one[..one.len() - 1]))] {
                prop_assert_eq!(protocol(one) == protocol(other), one == other, "{} {}", one, other);
                prop_assert!(protocol(one).len() <= PREFIX);
            }
        }

        #[test]
        fn nothing_makes_it_panic(said in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(answer(&mut said.as_slice()));
        }
    }
}
