//! The names of CLIP's tensors: open_clip's names are canonical, Hugging Face's names are translated.

use std::collections::BTreeSet;

use super::{TensorStore, WeightsError};

/// A tensor of the model: its open_clip name and its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name in open_clip's state dict.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
}

/// A checkpoint read by open_clip's tensor names, independent of the names in the file.
pub struct ClipTensors {
    store: Box<dyn TensorStore>,
    naming: Naming,
}

/// The naming of CLIP's tensors in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Naming {
    /// open_clip and OpenAI. Wrappers such as `DataParallel` add a prefix to every name, and open_clip's
    /// `custom_text` models add `text.` to the names of the text tower.
    OpenClip { prefix: &'static str, text: &'static str },
    /// transformers' `CLIPModel`.
    HuggingFace,
}

/// The source of a canonical tensor.
enum Source {
    Direct(String),
    /// A transposed 2-D tensor.
    Transposed(String),
    /// Query, key and value as separate tensors.
    Stacked([String; 3]),
}

/// Entries of CLIP checkpoints that are not needed here: the training temperature and constants.
const IGNORED: [&str; 8] = [
    "logit_scale",
    "logit_bias",
    "attn_mask",
    "input_resolution",
    "context_length",
    "vocab_size",
    "text_model.embeddings.position_ids",
    "vision_model.embeddings.position_ids",
];

impl ClipTensors {
    /// Checks, from its header alone, that a checkpoint has exactly the tensors `expected`.
    ///
    /// # Errors
    /// A tensor is missing, has another shape, or is not part of the model: a file made for another
    /// configuration must not run.
    pub fn new(store: Box<dyn TensorStore>, expected: &[Parameter]) -> Result<Self, WeightsError> {
        let tensors = Self::unchecked(store);
        tensors.check_all(expected)?;
        Ok(tensors)
    }

    /// The tensors of any checkpoint.
    pub(crate) fn unchecked(store: Box<dyn TensorStore>) -> Self {
        Self { naming: Naming::of(&*store), store }
    }

    /// The checks of [`ClipTensors::new`].
    pub(crate) fn check_all(&self, expected: &[Parameter]) -> Result<(), WeightsError> {
        let mut used = BTreeSet::new();
        for parameter in expected {
            self.check(parameter, &mut used)?;
        }
        let prefix = self.naming.prefix();
        let unexpected: Vec<&str> = (self.store.names().into_iter())
            .filter(|&n| !used.contains(n) && !IGNORED.contains(&n.strip_prefix(prefix).unwrap_or(n)))
            .collect();
        if unexpected.is_empty() {
            return Ok(());
        }
        Err(WeightsError::Unexpected {
            file: self.store.path().to_owned(),
            count: unexpected.len(),
            tensors: unexpected.into_iter().take(3).map(str::to_owned).collect(),
        })
    }

    /// The shape of the tensor with this open_clip name, as open_clip has it; `None` if the file does not have it.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let shape = |name: &str| Some(self.store.info(name)?.shape.clone());
        match self.naming.source(name) {
            Source::Direct(name) => shape(&name),
            Source::Transposed(name) => shape(&name).map(|s| s.into_iter().rev().collect()),
            Source::Stacked([name, ..]) => shape(&name).map(|mut s| {
                s.iter_mut().take(1).for_each(|rows| *rows *= 3);
                s
            }),
        }
    }

    /// Whether the tensors have transformers' names.
    pub(crate) fn is_hugging_face(&self) -> bool {
        self.naming == Naming::HuggingFace
    }

    /// The checkpoint.
    pub fn store(&self) -> &dyn TensorStore {
        &*self.store
    }

    /// Reads the tensor with this open_clip name, row-major, as f32.
    ///
    /// # Errors
    /// The file cannot be read, or the tensor is missing or has a value that is not finite.
    pub fn read(&self, parameter: &Parameter) -> Result<Vec<f32>, WeightsError> {
        match self.naming.source(&parameter.name) {
            Source::Direct(name) => self.store.read_f32(&name),
            Source::Stacked(names) => {
                let mut all = Vec::with_capacity(parameter.shape.iter().product());
                for name in &names {
                    all.extend_from_slice(&self.store.read_f32(name)?);
                }
                Ok(all)
            }
            Source::Transposed(name) => {
                let values = self.store.read_f32(&name)?;
                match parameter.shape[..] {
                    [rows, columns] if rows * columns == values.len() => {
                        Ok((0..rows * columns).map(|i| values[(i % columns) * rows + i / columns]).collect())
                    }
                    _ => Ok(values),
                }
            }
        }
    }

    fn check(&self, parameter: &Parameter, used: &mut BTreeSet<String>) -> Result<(), WeightsError> {
        let shape = &parameter.shape;
        match self.naming.source(&parameter.name) {
            Source::Direct(name) => self.check_one(name, shape.clone(), used),
            Source::Transposed(name) => self.check_one(name, shape.iter().rev().copied().collect(), used),
            Source::Stacked(names) => {
                let mut third = shape.clone();
                if let Some(rows) = third.first_mut() {
                    *rows /= 3;
                }
                names.into_iter().try_for_each(|name| self.check_one(name, third.clone(), used))
            }
        }
    }

    fn check_one(
        &self,
        name: String,
        expected: Vec<usize>,
        used: &mut BTreeSet<String>,
    ) -> Result<(), WeightsError> {
        let file = || self.store.path().to_owned();
        match self.store.info(&name) {
            None => Err(WeightsError::Missing { file: file(), tensor: name, expected }),
            Some(info) if info.shape != expected => {
                Err(WeightsError::Shape { file: file(), tensor: name, expected, found: info.shape.clone() })
            }
            Some(_) => {
                used.insert(name);
                Ok(())
            }
        }
    }
}

impl Naming {
    fn of(store: &dyn TensorStore) -> Self {
        if store.info("vision_model.embeddings.class_embedding").is_some() {
            return Self::HuggingFace;
        }
        let has = |name: String| store.info(&name).is_some();
        let prefix = (["", "module.", "_orig_mod.", "model."].into_iter())
            .find(|p| has(format!("{p}visual.conv1.weight")))
            .unwrap_or("");
        let text = if has(format!("{prefix}text.token_embedding.weight")) { "text." } else { "" };
        Self::OpenClip { prefix, text }
    }

    fn prefix(&self) -> &'static str {
        match self {
            Self::OpenClip { prefix, .. } => prefix,
            Self::HuggingFace => "",
        }
    }

    fn source(&self, name: &str) -> Source {
        match self {
            Self::OpenClip { prefix, .. } if name.starts_with("visual.") => {
                Source::Direct(format!("{prefix}{name}"))
            }
            Self::OpenClip { prefix, text } => Source::Direct(format!("{prefix}{text}{name}")),
            Self::HuggingFace => hugging_face(name),
        }
    }
}

fn hugging_face(name: &str) -> Source {
    let (model, inner) = match name.strip_prefix("visual.") {
        Some(rest) => ("vision_model", rest),
        None => ("text_model", name),
    };
    match (model, inner) {
        (_, "proj") => return Source::Transposed("visual_projection.weight".into()),
        (_, "text_projection") => return Source::Transposed("text_projection.weight".into()),
        (_, "class_embedding") => return Source::Direct(format!("{model}.embeddings.class_embedding")),
        (_, "conv1.weight") => return Source::Direct(format!("{model}.embeddings.patch_embedding.weight")),
        (_, "token_embedding.weight") => {
            return Source::Direct(format!("{model}.embeddings.token_embedding.weight"));
        }
        (_, "positional_embedding") => {
            return Source::Direct(format!("{model}.embeddings.position_embedding.weight"));
        }
        _ => {}
    }
    for (from, to) in
        [("ln_pre.", "pre_layrnorm."), ("ln_post.", "post_layernorm."), ("ln_final.", "final_layer_norm.")]
    {
        if let Some(part) = inner.strip_prefix(from) {
            return Source::Direct(format!("{model}.{to}{part}"));
        }
    }
    let Some((layer, part)) = inner.strip_prefix("transformer.resblocks.").and_then(|r| r.split_once('.'))
    else {
        return Source::Direct(name.to_owned());
    };
    let block = format!("{model}.encoder.layers.{layer}");
    if let Some(kind) = part.strip_prefix("attn.in_proj_") {
        return Source::Stacked(["q", "k", "v"].map(|p| format!("{block}.self_attn.{p}_proj.{kind}")));
    }
    for (from, to) in [
        ("ln_1.", "layer_norm1."),
        ("ln_2.", "layer_norm2."),
        ("attn.out_proj.", "self_attn.out_proj."),
        ("mlp.c_fc.", "mlp.fc1."),
        ("mlp.c_proj.", "mlp.fc2."),
    ] {
        if let Some(kind) = part.strip_prefix(from) {
            return Source::Direct(format!("{block}.{to}{kind}"));
        }
    }
    Source::Direct(name.to_owned())
}
