//! The page in a browser (Debian's Chromium), beside a balancer with traffic.

use super::serve::Site;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

const PAGE: &str = "http://127.0.0.1:9200/";

/// A browser, spoken to by its debugging protocol.
struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    last: u64,
    session: Option<String>,
    /// What the page asked for.
    asked: BTreeSet<String>,
}

impl Browser {
    fn start(site: &Site) -> Browser {
        // The protocol has descriptors 3 and 4.
        let script = "exec chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
                      --disable-background-networking --disable-component-update --remote-debugging-pipe \
                      --user-data-dir=\"$HOME/browser\" about:blank 3<&0 4>&1 1>&2";
        let log = fs::File::create(site.folder.join("chromium.log")).expect("a file");
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("HOME", &site.folder).env_remove("DISPLAY");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = site.network.at(site.balancer, || command.spawn()).expect("the namespace").expect("it runs");
        let (to, from) = (process.stdin.take().expect("one"), process.stdout.take().expect("one"));
        let mut browser =
            Browser { process, to, from: BufReader::new(from), last: 0, session: None, asked: BTreeSet::new() };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser.call("Network.enable", json!({}));
        browser.call("Page.navigate", json!({ "url": PAGE }));
        browser
    }

    /// Calls a method, and waits for its result.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.clone().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("it listens");
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).expect("it speaks");
            let said: Value = serde_json::from_slice(bytes.strip_suffix(&[0]).expect("all of it")).expect("JSON");
            if said["method"] == "Network.requestWillBeSent" {
                self.asked.insert(said["params"]["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            if said["id"] == self.last {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].clone();
            }
        }
    }

    /// What an expression, or the promise that it is, comes to in the page.
    fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}\n{result:#}");
        result["result"]["value"].clone()
    }

    /// Waits until something is so in the page, which is told of each change of it.
    fn until(&mut self, is_so: &str) {
        let text = self.value(&format!(
            "new Promise(done => {{
                const look = () => {{ if ({is_so}) done('so'); }};
                new MutationObserver(look).observe(document, {{ subtree: true, childList: true, characterData: true }});
                setTimeout(() => done(document.body.innerText), 30000);
                look();
            }})"
        ));
        assert_eq!(text, "so", "{is_so}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The text of a real's cell.
fn cell(real: &str, column: usize) -> String {
    format!(
        "[...document.querySelectorAll('#vips tr')].find(row => row.cells[0].textContent === '{real}')?.cells[{column}].textContent"
    )
}

#[test]
fn the_page_shows_what_happens_and_asks_nobody_else() {
    if Command::new("chromium").arg("--version").output().is_err() {
        eprintln!("SKIP lb_page: chromium is not installed");
        return;
    }
    let Some(mut site) = Site::new("lb_page") else { return };
    let _servers = [site.server(0), site.server(1)];
    // A VIP whose packets are dropped: nobody is there for them.
    site.configure(
        "[[vip]]\nname = \"nobody's\"\naddress = \"192.0.2.2\"\nport = 81\nprotocol = \"udp\"\n\
         check = { type = \"exec\", command = [\"true\"] }\n",
    );
    site.serve();
    site.until("both are well", |site| site.health().iter().all(|(health, _)| health == "up"));
    let mut browser = Browser::start(&site);

    // VIPs, reals, health, shares of the table.
    browser.until("document.querySelectorAll('#vips h2').length === 2");
    browser.until(&format!("{} === 'up' && {} === 'up'", cell("one", 1), cell("two", 1)));
    let title = browser.value("document.querySelector('#vips h2').textContent");
    assert!(title.as_str().is_some_and(|title| title.contains("web") && title.contains("192.0.2.1 tcp 80")), "{title}");
    for real in ["one", "two"] {
        let share = browser.value(&cell(real, 3));
        assert!(
            share.as_str().is_some_and(|share| share.starts_with("50.0 %")
                || share.starts_with("49.9 %")
                || share.starts_with("50.1 %")),
            "{share}"
        );
    }

    // It is live: packets, rates, what was dropped and why, all come while it is open.
    assert_eq!(browser.value(&cell("one", 4)), "0");
    let open = site.connect(40);
    site.network
        .at(site.client, || {
            let socket = std::net::UdpSocket::bind("10.0.0.2:0").expect("a port");
            for _ in 0..7 {
                socket.send_to(b"nobody", "192.0.2.2:81").expect("sent");
            }
        })
        .expect("the namespace");
    for real in ["one", "two"] {
        browser.until(&format!("parseInt({}) > 0 && /^[0-9,]+ \\/s$/.test({})", cell(real, 4), cell(real, 5)));
    }
    let dropped = "[...document.querySelectorAll('#verdicts tr')].find(row => row.cells[0].textContent === 'no-real')";
    browser.until(&format!("{dropped}?.cells[1].textContent === '7' && {dropped}.cells[0].className === 'down'"));
    assert_eq!(site.ask(&["drain", "two", "--within", "1h"]), "");
    browser.until(&format!("{} === 'drained' && {}.startsWith('0.0 %')", cell("two", 1), cell("two", 3)));
    drop(open);

    // Nobody else was asked; nor can it ask anybody else.
    let refused = browser.value(
        "new Promise(done => {
            document.addEventListener('securitypolicyviolation', event => done(event.violatedDirective));
            fetch('http://10.0.9.1/').then(() => done('it went out'), () => {});
            setTimeout(() => done('nothing refused it'), 30000);
        })",
    );
    assert_eq!(refused, "connect-src");
    browser.asked.remove("http://10.0.9.1/");
    browser.asked.retain(|asked| !asked.starts_with("data:"));
    let own: BTreeSet<String> = [PAGE.to_owned(), format!("{PAGE}v1/status")].into();
    assert_eq!(browser.asked, own);
    let outside = browser.value("performance.getEntriesByType('resource').map(entry => entry.name).filter(name => !name.startsWith(location.origin) && !name.startsWith('data:') && name !== 'http://10.0.9.1/')");
    assert_eq!(outside, json!([]));
}
