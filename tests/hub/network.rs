//! Hubs and networks that are slow, busy, or elsewhere.

use crate::between::{Proxy, certificate, encrypted};
use crate::server::Mood;
use crate::{Machine, WEIGHTS, filled_hub, weights};

const PULL: [&str; 3] = ["models", "pull", "lab-tiny"];

#[test]
fn redirects_end() {
    let machine = Machine::new();
    machine.hub.set_mood(Mood::Circle);
    machine.pull_fails(&["does not answer like a hub", "redirects too often"]);
}

#[test]
fn an_address_without_a_scheme_is_none() {
    let machine = Machine::new();
    for endpoint in ["huggingface.co", "ftp://hub.example", "https://", "/srv/hub"] {
        let ran = machine.run_with(&PULL, &[("HF_ENDPOINT", endpoint)]);
        assert!(ran.code == 2 && ran.stderr.contains("HF_ENDPOINT is `"), "{endpoint}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1);
    }
}

#[test]
fn a_part_without_a_total_has_no_size() {
    let machine = Machine::new();
    machine.hub.set_mood(Mood::NoTotal);
    machine.pull_fails(&["it names no size"]);
}

#[test]
fn a_busy_hub_is_asked_again() {
    let machine = Machine::new();
    machine.hub.set_mood(Mood::Busy(2, 0));
    let ran = machine.pull();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said =
        format!("{CONFIG}: the hub answered with HTTP 429; trying again in 0 s", CONFIG = crate::CONFIG);
    assert_eq!(ran.stderr.matches(&said).count(), 2, "{}", ran.stderr);
    // One that wants a long pause is left alone.
    let machine = Machine::new();
    machine.hub.set_mood(Mood::Busy(1, 3600));
    machine.pull_fails(&["HTTP 429", "later"]);
}

#[test]
fn a_hub_that_stalls_is_given_up_and_asked_again() {
    let limit = [("HF_HUB_DOWNLOAD_TIMEOUT", "0.3")];
    let machine = Machine::new();
    machine.hub.set_mood(Mood::Stalls(1));
    let ran = machine.run_with(&PULL, &limit);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("nothing arrived for 0.3 s; trying again in 0.02 s"), "{}", ran.stderr);
    assert_eq!(std::fs::read(ran.stdout.trim_end().to_owned() + "/" + WEIGHTS).unwrap(), weights());

    let machine = Machine::new();
    machine.hub.set_mood(Mood::Silent);
    let ran = machine.run_with(&PULL, &limit);
    assert!(ran.code == 2 && ran.stderr.contains("failed 4 times"), "{}", ran.stderr);
    assert!(ran.stderr.contains("trying again in 0.08 s"), "{}", ran.stderr);
    let quiet = machine.run_with(&["models", "pull", "lab-tiny", "--quiet"], &limit);
    assert!(quiet.code == 2 && quiet.stderr.lines().count() == 1, "{}", quiet.stderr);

    let wrong = machine.run_with(&PULL, &[("HF_HUB_DOWNLOAD_TIMEOUT", "soon")]);
    assert!(wrong.stderr.contains("HF_HUB_DOWNLOAD_TIMEOUT is `soon`"), "{}", wrong.stderr);
}

#[test]
fn proxies_of_the_environment_are_used() {
    let proxy = Proxy::start();
    let address = format!("http://user:word@{}", proxy.address);
    let machine = Machine::new();
    let token = ("HF_TOKEN", "secret");
    let ran = machine.run_with(&PULL, &[("HTTP_PROXY", &address), token]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(proxy.passed() > 0 && machine.hub.saw_token());
    let heads = proxy.heads();
    assert!(
        heads.to_lowercase().contains("proxy-authorization: basic") && !heads.contains("secret"),
        "{heads}"
    );

    // Not for this scheme, or not for this host.
    let before = proxy.passed();
    for variables in [
        &[("HTTPS_PROXY", address.as_str())][..],
        &[("ALL_PROXY", &address), ("NO_PROXY", "example, 127.0.0.0/8")],
    ] {
        let ran = Machine::new().run_with(&PULL, variables);
        assert_eq!((ran.code, proxy.passed()), (0, before), "{variables:?}: {}", ran.stderr);
    }
    let ran = machine.run_with(&["models", "pull", "ViT-B-32"], &[("HTTP_PROXY", "http://no such:word@x")]);
    assert!(
        ran.code == 2 && ran.stderr.contains("HTTP_PROXY is not the address of a proxy"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("word"), "{}", ran.stderr);
    // Nobody is there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{port}");
    let ran = Machine::new().run_with(&PULL, &[("ALL_PROXY", &nobody)]);
    assert!(ran.code == 2 && ran.stderr.contains("through the proxy in ALL_PROXY"), "{}", ran.stderr);
}

#[test]
fn certificates_of_a_company_are_accepted() {
    let machine = Machine::new();
    let endpoint = encrypted(&machine.hub.address);
    let hub = ("HF_ENDPOINT", endpoint.as_str());
    let ran = machine.run_with(&PULL, &[hub, ("HF_TOKEN", "secret")]);
    assert!(ran.code == 2 && ran.stderr.contains("the certificate of https://127.0.0.1"), "{}", ran.stderr);
    assert!(ran.stderr.contains("SSL_CERT_FILE") && !machine.hub.saw_token(), "{}", ran.stderr);

    let authority = certificate("authority.pem");
    let trust = ("SSL_CERT_FILE", authority.to_str().unwrap());
    let proxy = Proxy::start();
    let address = format!("http://{}", proxy.address);
    let ran = machine.run_with(&PULL, &[hub, trust, ("HTTPS_PROXY", &address), ("HF_TOKEN", "secret")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(proxy.passed() > 0 && machine.hub.saw_token());
    assert!(!proxy.heads().contains("resolve"), "{}", proxy.heads());

    let ran = machine.run_with(&PULL, &[hub, ("SSL_CERT_FILE", "/nonexistent")]);
    assert!(
        ran.code == 2 && ran.stderr.contains("no certificates can be read from SSL_CERT_FILE"),
        "{}",
        ran.stderr
    );
}

/// Nothing is sent in plain text after an answer that was encrypted.
#[test]
fn an_encrypted_hub_cannot_lead_to_a_plain_one() {
    let other = filled_hub();
    let machine = Machine::new();
    machine.hub.set_mood(Mood::Moved(other.port()));
    let endpoint = encrypted(&machine.hub.address);
    let authority = certificate("authority.pem");
    let ran = machine
        .run_with(&PULL, &[("HF_ENDPOINT", &endpoint), ("SSL_CERT_FILE", authority.to_str().unwrap())]);
    assert!(ran.code == 2 && ran.stderr.contains("redirect has no valid target"), "{}", ran.stderr);
    assert_eq!(other.transfers(), 0);
}
