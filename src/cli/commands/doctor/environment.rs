//! The environment variables that matter.

use serde::Serialize;

/// Variables the program or a library it uses looks at.
const NAMES: [&str; 26] = [
    "AACLIP_CACHE",
    "AACLIP_CONFIG",
    "AACLIP_MODEL",
    "AACLIP_REGISTRY",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "CUDA_VISIBLE_DEVICES",
    "RAYON_NUM_THREADS",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "NO_COLOR",
    "TERM",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
];

/// A variable that is set.
#[derive(Debug, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value, without what must stay secret.
    pub value: String,
}

/// Those that are set.
pub fn variables() -> Vec<Variable> {
    let set = NAMES.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    set.map(|(name, value)| Variable { name, value: shown(name, &value.to_string_lossy()) }).collect()
}

/// A value that may be shown to anybody the report is sent to.
fn shown(name: &str, value: &str) -> String {
    if name.contains("TOKEN") {
        return "(set, not shown)".to_owned();
    }
    without_password(value).escape_debug().to_string()
}

/// An address without the user and password before its host.
pub fn without_password(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}(not shown)@{host}{path}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (name, value, expected) in [
            ("HF_TOKEN", "hf_abc", "(set, not shown)"),
            ("HF_ENDPOINT", "https://me:pass@hub.example/x@y", "https://(not shown)@hub.example/x@y"),
            ("HTTPS_PROXY", "me:p@ss@proxy:8080", "(not shown)@proxy:8080"),
            ("HF_ENDPOINT", "https://hub.example", "https://hub.example"),
            ("AACLIP_CACHE", "/data/a@b/cache", "/data/a@b/cache"),
            ("AACLIP_MODEL", "a\u{1b}[31m", "a\\u{1b}[31m"),
        ] {
            assert_eq!(shown(name, value), expected);
        }
    }
}
