//! The proxy for an address, as the environment names it.

use std::net::IpAddr;

use super::HubError;

/// A proxy and the variable that names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub variable: &'static str,
    pub proxy: ureq::Proxy,
}

/// Variables with the proxy for an address of each scheme, the first that is set counts.
const FOR_HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const FOR_HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// The proxy for a host and port; `None` for a direct connection. `variable` reads the environment.
///
/// # Errors
/// The variable does not have the address of a proxy.
pub(super) fn proxy_for(
    is_https: bool,
    host: &str,
    port: u16,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Named>, HubError> {
    let set = |name: &&str| Some(variable(name)?.trim().to_owned()).filter(|value| !value.is_empty());
    let names = if is_https { FOR_HTTPS } else { FOR_HTTP };
    let Some((name, value)) = names.into_iter().find_map(|name| Some((name, set(&name)?))) else {
        return Ok(None);
    };
    let exceptions = ["no_proxy", "NO_PROXY"].iter().find_map(set).unwrap_or_default();
    if exceptions.split([',', ' ']).any(|entry| covers(entry.trim(), host, port)) {
        return Ok(None);
    }
    let proxy = ureq::Proxy::new(&value).map_err(|_| HubError::Proxy { variable: name })?;
    Ok(Some(Named { variable: name, proxy }))
}

/// Whether an entry of `NO_PROXY` is about a host: `*`, an address, a network (`10.0.0.0/8`), or a name with all
/// names below it, each with or without a port.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    let host = host.trim_matches(['[', ']']);
    let entry = match entry.rsplit_once(':') {
        // Not the last group of an IPv6 address.
        Some((name, number)) if !name.contains(':') || name.ends_with(']') => match number.parse::<u16>() {
            Ok(number) if number != port => return false,
            Ok(_) => name,
            Err(_) => entry,
        },
        _ => entry,
    };
    let entry = entry.trim_matches(['[', ']']).to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        let (network, bits) = entry.split_once('/').unwrap_or((&entry, "128"));
        let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
            return entry == "*";
        };
        return in_network(address, network, bits);
    }
    let name = entry.strip_prefix('*').unwrap_or(&entry);
    let name = name.strip_prefix('.').unwrap_or(name);
    let host = host.to_ascii_lowercase();
    let below = host.strip_suffix(name).is_some_and(|above| above.is_empty() || above.ends_with('.'));
    entry == "*" || !name.is_empty() && below
}

/// Whether the first bits of two addresses of one kind are the same.
fn in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let differ =
        |a: u128, b: u128, width: u32| (a ^ b).checked_shr(width.saturating_sub(bits)).unwrap_or(0) != 0;
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => !differ(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => !differ(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(https: bool, host: &str, set: &[(&str, &str)]) -> Option<&'static str> {
        let read = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        proxy_for(https, host, 443, read).unwrap().map(|named| named.variable)
    }

    #[test]
    fn the_scheme_selects_the_variable() {
        let all = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2"), ("ALL_PROXY", "socks5://a:3")];
        assert_eq!(variable(true, "hub", &all), Some("HTTPS_PROXY"));
        assert_eq!(variable(false, "hub", &all), Some("http_proxy"));
        assert_eq!(variable(false, "hub", &[all[0], all[2]]), Some("ALL_PROXY"));
        assert_eq!(variable(false, "hub", &all[..1]), None);
        assert_eq!(variable(true, "hub", &[("HTTPS_PROXY", "")]), None);
        let wrong = proxy_for(true, "hub", 443, |n| (n == "HTTPS_PROXY").then(|| "gopher://x y".into()));
        assert!(wrong.unwrap_err().to_string().starts_with("HTTPS_PROXY "));
    }

    #[test]
    fn exceptions() {
        for (entry, host, expected) in [
            ("*", "hub.example", true),
            ("*", "10.0.0.1", true),
            ("hub.example", "HUB.example", true),
            ("example", "hub.example", true),
            (".example", "hub.example", true),
            ("*.example", "hub.example", true),
            ("ample", "hub.example", false),
            ("hub.example:443", "hub.example", true),
            ("hub.example:80", "hub.example", false),
            ("", "hub.example", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("::1", "[::1]", true),
            ("[::1]:443", "[::1]", true),
            ("::2", "[::1]", false),
        ] {
            assert_eq!(covers(entry, host, 443), expected, "{entry} {host}");
        }
    }
}
