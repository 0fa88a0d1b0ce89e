//! Models that can be named instead of a folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{HubError, is_plain_name};
use crate::clip::Activation;
use crate::files;
use crate::lines::without_mark;
use crate::weights::builtin;

const BUILT_IN: &str = include_str!("../../weights/registry.toml");

/// A registry is written by hand; a larger file is the wrong one.
const LARGEST_FILE: u64 = 16 << 20;

/// The known models, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    entries: Vec<RegistryEntry>,
}

/// A published model.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryEntry {
    /// Its name.
    pub name: String,
    /// Other names of the model.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// A description of one line.
    pub description: String,
    /// The licence its authors state.
    pub licence: String,
    /// The hub repository, `owner/name`.
    pub repo: String,
    /// A commit, or a branch whose commit is recorded at the first download.
    pub revision: String,
    /// The weights.
    pub weights: RemoteFile,
    /// The configuration.
    pub config: RemoteFile,
    /// The activation the weights were trained with.
    #[serde(with = "activation")]
    pub activation: Activation,
    /// Side of the input the weights were trained at, in pixels.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Blocks of the image tower.
    pub layers: usize,
    /// Width of the image tower.
    pub width: usize,
}

/// A file of a hub repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteFile {
    /// Its name.
    pub file: String,
    /// Its approximate size in bytes, shown before a download.
    pub size: u64,
    /// Its SHA-256 in hexadecimal; empty if no digest is published.
    #[serde(default)]
    pub sha256: String,
}

mod activation {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::clip::Activation;

    pub fn serialize<S: Serializer>(value: &Activation, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(value.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Activation, D::Error> {
        let name = String::deserialize(d)?;
        [Activation::Gelu, Activation::QuickGelu].into_iter().find(|a| a.name() == name).ok_or_else(|| {
            D::Error::custom(format!("unknown activation `{name}`: expected gelu or quick-gelu"))
        })
    }
}

impl Registry {
    /// The built-in entries, preceded by those of the file in `AACLIP_REGISTRY`, which has the same format. An entry of
    /// that file replaces a built-in one of the same name.
    ///
    /// # Errors
    /// The file cannot be read or is invalid.
    pub fn load() -> Result<Self, HubError> {
        let built_in = parse(BUILT_IN, Path::new("registry.toml"))?;
        let Some(path) = std::env::var_os("AACLIP_REGISTRY").map(PathBuf::from) else {
            return Ok(Self { entries: built_in });
        };
        let text = files::read_limited(&path, LARGEST_FILE)
            .and_then(|bytes| String::from_utf8(without_mark(&bytes).to_vec()).map_err(std::io::Error::other))
            .map_err(|source| HubError::Io { action: "read", path: path.clone(), source })?;
        let mut entries = parse(&text, &path)?;
        let new: Vec<String> = entries.iter().map(|e| e.name.clone()).collect();
        entries.extend(built_in.into_iter().filter(|e| !new.contains(&e.name)));
        Ok(Self { entries })
    }

    /// The models in the text of a registry; `path` is its name in errors.
    ///
    /// # Errors
    /// The text is not a registry; the error has the line of the mistake.
    pub fn parse(path: &Path, text: &str) -> Result<Self, HubError> {
        Ok(Self { entries: parse(text, path)? })
    }

    /// All models, best first.
    pub fn entries(&self) -> &[RegistryEntry] {
        &self.entries
    }

    /// The names of all models that can be named, the one that comes with the program first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(builtin::NAME).chain(self.entries.iter().map(|e| e.name.as_str()))
    }

    /// The published model of this name or alias, in any case.
    ///
    /// # Errors
    /// [`HubError::UnknownModel`] with the known names.
    pub fn find(&self, name: &str) -> Result<&RegistryEntry, HubError> {
        let is_it = |e: &&RegistryEntry| {
            e.name.eq_ignore_ascii_case(name) || e.aliases.iter().any(|a| a.eq_ignore_ascii_case(name))
        };
        self.entries.iter().find(is_it).ok_or_else(|| HubError::UnknownModel {
            name: name.to_owned(),
            known: self.names().collect::<Vec<_>>().join(", "),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<toml::Spanned<RegistryEntry>>,
}

fn parse(text: &str, path: &Path) -> Result<Vec<RegistryEntry>, HubError> {
    let at = |offset: usize, problem: String| HubError::Registry {
        path: path.to_owned(),
        line: 1 + text.bytes().take(offset).filter(|&b| b == b'\n').count(),
        problem,
    };
    let file: File = toml::from_str(text)
        .map_err(|e| at(e.span().map_or(0, |s| s.start), e.message().replace('\n', " ")))?;
    let mut entries: Vec<RegistryEntry> = Vec::new();
    for entry in file.model {
        let start = entry.span().start;
        let entry = entry.into_inner();
        check(&entry).map_err(|problem| at(start, format!("model `{}`: {problem}", entry.name)))?;
        if entries.iter().any(|e| e.name.eq_ignore_ascii_case(&entry.name)) {
            return Err(at(start, format!("model `{}` is listed twice", entry.name)));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Checks that the names of an entry are valid for a hub and safe in a path.
fn check(entry: &RegistryEntry) -> Result<(), String> {
    let two = entry.repo.split_once('/');
    if !two.is_some_and(|(owner, name)| is_plain_name(owner) && is_plain_name(name)) {
        return Err(format!("repository `{}` does not have the form owner/name", entry.repo));
    }
    for (what, value) in
        [("revision", &entry.revision), ("file", &entry.weights.file), ("file", &entry.config.file)]
    {
        if !is_plain_name(value) {
            return Err(format!("{what} `{value}` is not a plain name"));
        }
    }
    for file in [&entry.weights, &entry.config] {
        let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !(file.sha256.is_empty() || is_digest(&file.sha256)) {
            return Err(format!("sha256 of `{}` is not 64 hexadecimal digits", file.file));
        }
    }
    if entry.name.is_empty() || entry.name.contains(['/', '\\']) && Path::new(&entry.name).is_absolute() {
        return Err("a name cannot be empty or a path".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built_in() -> Registry {
        Registry { entries: parse(BUILT_IN, Path::new("registry.toml")).unwrap() }
    }

    #[test]
    fn names_and_aliases_in_any_case() {
        let registry = built_in();
        assert!(registry.entries().len() >= 5);
        for (name, expected) in [
            ("ViT-L/14@336", "ViT-L-14-336"),
            ("vit-l-14-336", "ViT-L-14-336"),
            ("ViT-B/32", "ViT-B-32"),
            ("openai/vit-b-16", "ViT-B-16"),
            ("ViT-L/14", "ViT-L-14"),
            ("vit-b-16-plus-240", "ViT-B-16-plus-240"),
        ] {
            assert_eq!(registry.find(name).unwrap().name, expected);
        }
        let error = registry.find("ViT-X").unwrap_err().to_string();
        assert!(error.contains("ViT-X") && error.contains("ViT-B-16-plus-240"), "{error}");
    }

    #[test]
    fn aliases_are_unique_and_activations_belong_to_the_weights() {
        let registry = built_in();
        let mut names: Vec<String> = registry
            .entries()
            .iter()
            .flat_map(|e| e.aliases.iter().chain([&e.name]))
            .map(|n| n.to_lowercase())
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        for entry in registry.entries() {
            let openai = entry.repo.ends_with(".openai");
            assert_eq!(entry.activation == Activation::QuickGelu, openai, "{}", entry.name);
            assert!(entry.weights.size > 100_000_000 && entry.image_size % entry.patch_size == 0);
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (from, to, expected) in [
            ("timm/vit_large_patch14_clip_336.openai", "../../etc", "owner/name"),
            ("timm/vit_large_patch14_clip_336.openai", "a/b/c", "owner/name"),
            ("revision = \"81e3", "revision = \"../81e3", "plain name"),
            ("file = \"open_clip_model.safetensors\"", "file = \"/x\"", "plain name"),
            ("sha256 = \"\"", "sha256 = \"abc\"", "64 hexadecimal"),
            ("activation = \"quick-gelu\"", "activation = \"relu\"", "unknown activation"),
            ("licence", "license", "license"),
            ("name = \"ViT-L-14-336\"", "name = \"ViT-L-14\"", "listed twice"),
        ] {
            let error = parse(&BUILT_IN.replacen(from, to, 1), Path::new("r.toml")).unwrap_err().to_string();
            assert!(error.contains(expected) && error.starts_with("r.toml:"), "{to}: {error}");
        }
    }
}
