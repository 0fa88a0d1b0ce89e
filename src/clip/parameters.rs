//! The tensors required by a configuration.

use super::config::ClipConfig;
use crate::weights::Parameter;

/// Every tensor of both towers, under open_clip's names.
pub fn parameters(config: &ClipConfig) -> Vec<Parameter> {
    let (v, t) = (&config.vision, &config.text);
    let mut list = List(Vec::new());
    let patches = v.grid(v.image_size).pow(2);
    list.add("visual.class_embedding", &[v.width]);
    list.add("visual.conv1.weight", &[v.width, 3, v.patch_size, v.patch_size]);
    list.add("visual.positional_embedding", &[1 + patches, v.width]);
    if v.ln_pre {
        list.norm("visual.ln_pre", v.width);
    }
    list.blocks("visual.", v.layers, v.width, v.mlp_width);
    list.norm("visual.ln_post", v.width);
    list.add("visual.proj", &[v.width, config.embed_dim]);

    list.add("token_embedding.weight", &[t.vocab_size, t.width]);
    list.add("positional_embedding", &[t.context_length, t.width]);
    list.blocks("", t.layers, t.width, t.mlp_width);
    list.norm("ln_final", t.width);
    list.add("text_projection", &[t.width, config.embed_dim]);
    list.0
}

struct List(Vec<Parameter>);

impl List {
    fn add(&mut self, name: &str, shape: &[usize]) {
        self.0.push(Parameter { name: name.to_owned(), shape: shape.to_owned() });
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width]);
        self.add(&format!("{name}.bias"), &[width]);
    }

    fn blocks(&mut self, tower: &str, layers: usize, width: usize, mlp: usize) {
        for i in 0..layers {
            let block = format!("{tower}transformer.resblocks.{i}");
            self.norm(&format!("{block}.ln_1"), width);
            self.add(&format!("{block}.attn.in_proj_weight"), &[3 * width, width]);
            self.add(&format!("{block}.attn.in_proj_bias"), &[3 * width]);
            self.add(&format!("{block}.attn.out_proj.weight"), &[width, width]);
            self.add(&format!("{block}.attn.out_proj.bias"), &[width]);
            self.norm(&format!("{block}.ln_2"), width);
            self.add(&format!("{block}.mlp.c_fc.weight"), &[mlp, width]);
            self.add(&format!("{block}.mlp.c_fc.bias"), &[mlp]);
            self.add(&format!("{block}.mlp.c_proj.weight"), &[width, mlp]);
            self.add(&format!("{block}.mlp.c_proj.bias"), &[width]);
        }
    }
}
