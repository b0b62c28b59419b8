//! Checks: what they run, and what is filled into that.

use super::*;

/// Programs of checks have to be there, and what is filled into their words has to have a name.
#[test]
fn programs_of_checks_are_looked_for() {
    let read = |command: &str| {
        let text = format!(
            "[balancer]\ndevices = [\"lo\"]\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
             check = {{ type = \"exec\", command = {command} }}\n"
        );
        Config::read_placed("lb.toml", &text, None).map_err(said)
    };
    let lacks = |command: &str| {
        let (config, places) = read(command).unwrap_or_else(|faults| panic!("{command}: {faults:?}"));
        config.lacks(&places).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for there in ["\"sh\"", "[\"/bin/sh\", \"-c\", \"true\"]", "[\"{address}/x\"]"] {
        assert_eq!(lacks(there), Vec::<String>::new(), "{there}");
    }
    let none = lacks("[\"/no/such\", \"x\"]");
    let expected = "lb.toml:6:37: the check's program `/no/such` cannot be run (found No such file or directory";
    assert!(none.len() == 1 && none[0].starts_with(expected), "{none:?}");
    assert!(lacks("\"no-such-program\"")[0].contains("none of the folders of PATH has such a program: "));
    assert!(lacks("\"/etc/passwd\"")[0].contains("it is not executable"));
    assert!(lacks("\"/etc\"")[0].contains("it is no file"));
    assert_eq!(read("\"\"").map(drop), Err(vec!["6:36 `command` is not what it should be".to_owned()]));

    let wrong = |word: &str| read(&format!("[\"sh\", {word:?}]")).map(|(config, _)| config.remarks(None));
    assert_eq!(wrong("{adress}"), Err(vec!["6:43 nothing is filled in for `{adress}`".to_owned()]));
    assert_eq!(wrong("a{prot}b{port}"), Err(vec!["6:43 nothing is filled in for `{prot}`".to_owned()]));
    let remarks = wrong("{ip}:{port}").expect("it may be the program's own");
    assert!(
        remarks.iter().any(|remark| remark.contains("`{ip}` in the check's command stays as it is")),
        "{remarks:?}"
    );
    // Four letters, of which two are others, are no misspelling.
    assert!(wrong("{host}").is_ok());
    for own in ["{address}:{port}", "${adress}", "{}", "{ print $1 }", "{", "}{"] {
        let remarks = wrong(own).expect("it is right");
        assert!(!remarks.iter().any(|remark| remark.contains("command")), "{own}: {remarks:?}");
    }
}
