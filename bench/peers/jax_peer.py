"""The workloads in JAX, with flax.linen and optax."""

import functools

from measure import cycle, repeat
from workloads import BERT, EMBEDDING, GENERATE, GPT, LSTM, MI, Data


class Jax:
    package = "jax"

    def __init__(self, threads):
        import jax

        self.jax, self.jnp, self.data = jax, jax.numpy, Data()

    def classification(self, logits, y):
        import optax

        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def train(self, variables, loss, batches, optimizer):
        """loss(params, state, key, *batch) -> (scalar, new state); one jitted, donated step."""
        import optax

        jax = self.jax
        params = variables.pop("params")
        carry = params, variables, optimizer.init(params), jax.random.key(0)

        @functools.partial(jax.jit, donate_argnums=0)
        def update(carry, *batch):
            params, state, opt, key = carry
            key, sub = jax.random.split(key)
            grads, state = jax.grad(loss, has_aux=True)(params, state, sub, *batch)
            delta, opt = optimizer.update(grads, opt, params)
            return optax.apply_updates(params, delta), state, opt, key

        stream = cycle([[jax.device_put(a) for a in batch] for batch in batches])

        def step():
            nonlocal carry
            carry = jax.block_until_ready(update(carry, *next(stream)))

        return step

    def fit(self, model, x, loss, optimizer, y):
        """Train a flax module on one batch; loss(output, y)."""
        def objective(params, state, key, x, y):
            out, state = model.apply({"params": params, **state}, x, rngs={"dropout": key},
                                     mutable=list(state))
            return loss(out, y), state

        key = self.jax.random.key(0)
        variables = dict(model.init({"params": key, "dropout": key}, x))
        return self.train(variables, objective, [(x, y)], optimizer)

    def module(self, function):
        import flax.linen as nn

        class Module(nn.Module):
            @nn.compact
            def __call__(self, *args):
                return function(nn, *args)

        return Module()

    def xor_train(self):
        import optax

        model = self.module(lambda nn, x: nn.sigmoid(nn.Dense(1)(nn.tanh(nn.Dense(8)(x)))))
        x, y = self.data.xor()
        loss = lambda p, y: -(y * self.jnp.log(p) + (1 - y) * self.jnp.log1p(-p)).mean()
        return self.fit(model, x, loss, optax.sgd(0.5), y)

    def mlp_train(self):
        import optax

        model = self.module(lambda nn, x: nn.Dense(10)(
            nn.relu(nn.Dense(256)(nn.relu(nn.Dense(512)(x))))))
        return self.fit(model, self.data.normal(128, 784), self.classification, optax.adam(1e-3),
                        self.data.integers(10, 128))

    def lenet_train(self):
        import optax

        def forward(nn, x):
            for width in (32, 64):
                x = nn.relu(nn.Conv(width, (3, 3), padding="VALID")(x))
                x = nn.max_pool(x, (2, 2), (2, 2))
            x = nn.relu(nn.Dense(128)(x.reshape(x.shape[0], -1)))
            return nn.Dense(10)(nn.Dropout(0.5, deterministic=False)(x))

        return self.fit(self.module(forward), self.data.normal(64, 28, 28, 1),
                        self.classification, optax.adam(1e-3), self.data.integers(10, 64))

    def resnet18_train(self):
        import optax

        def forward(nn, x):
            def conv(x, width, size=3, stride=1):
                x = nn.Conv(width, (size, size), stride, padding=size // 2, use_bias=False)(x)
                return nn.BatchNorm(use_running_average=False, momentum=0.9)(x)

            x = nn.relu(conv(x, 64))
            for width, stride in zip((64, 128, 256, 512), (1, 2, 2, 2)):
                for stride in (stride, 1):
                    y = conv(nn.relu(conv(x, width, stride=stride)), width)
                    if x.shape != y.shape:
                        x = conv(x, width, 1, stride)
                    x = nn.relu(x + y)
            return nn.Dense(10)(x.mean((1, 2)))

        optimizer = optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(0.1, 0.9))
        return self.fit(self.module(forward), self.data.normal(32, 32, 32, 3),
                        self.classification, optimizer, self.data.integers(10, 32))

    def lstm_train(self):
        import optax

        def forward(nn, ids):
            x = nn.Embed(LSTM["vocab"], LSTM["width"])(ids)
            for _ in range(2):
                x = nn.RNN(nn.OptimizedLSTMCell(LSTM["width"]))(x)
            return nn.Dense(LSTM["vocab"])(x)

        x, y = self.data.sequences(LSTM["vocab"], LSTM["batch"], LSTM["length"])
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
        return self.fit(self.module(forward), x, self.classification, optimizer, y)

    def transformer(self, nn, s, positions, decoder, ids, caches=None, pos=0):
        jax, jnp, width, heads = self.jax, self.jnp, s["width"], s["heads"]
        t, new_caches = ids.shape[1], []

        def attend(x, cache):
            q, k, v = jnp.split(nn.Dense(3 * width)(x), 3, -1)
            q, k, v = (a.reshape(*a.shape[:2], heads, width // heads) for a in (q, k, v))
            mask = None
            if cache is not None:
                cache = jax.lax.dynamic_update_slice(cache, jnp.stack((k, v)), (0, 0, pos, 0, 0))
                new_caches.append(cache)
                k, v = cache
                mask = (jnp.arange(k.shape[1]) <= pos + jnp.arange(t)[:, None])[None, None]
            y = jax.nn.dot_product_attention(q, k, v, mask=mask,
                                             is_causal=decoder and cache is None)
            return nn.Dense(width)(y.reshape(x.shape))

        def ffn(x):
            return nn.Dense(width)(nn.gelu(nn.Dense(s["ffn"])(x), approximate=False))

        embed = nn.Embed(s["vocab"], width)
        where = pos + jnp.arange(t)
        x = embed(ids) + nn.Embed(positions, width)(where)
        if not decoder:
            x = nn.LayerNorm()(x + nn.Embed(2, width)(jnp.zeros_like(ids)))
        for i in range(s["layers"]):
            cache = None if caches is None else caches[i]
            if decoder:
                x = x + attend(nn.LayerNorm()(x), cache)
                x = x + ffn(nn.LayerNorm()(x))
            else:
                x = nn.LayerNorm()(x + attend(x, cache))
                x = nn.LayerNorm()(x + ffn(x))
        if not decoder:
            return x
        if caches is None:
            return embed.attend(nn.LayerNorm()(x))
        return embed.attend(nn.LayerNorm()(x[:, -1:])), jnp.stack(new_caches)

    def gpt(self):
        return self.module(lambda nn, *args: self.transformer(nn, GPT, GPT["context"], True, *args))

    def gpt_train(self):
        import optax

        x, y = self.data.sequences(GPT["vocab"], GPT["batch"], GPT["context"])
        optimizer = optax.adamw(3e-4, 0.9, 0.95, weight_decay=0.1)
        return self.fit(self.gpt(), x, self.classification, optimizer, y)

    def gpt_generate(self):
        jax, jnp, model, heads = self.jax, self.jnp, self.gpt(), GPT["heads"]
        prompt = self.data.integers(GPT["vocab"], 1, GENERATE["prompt"])
        variables = model.init(jax.random.key(0), prompt)
        empty = jnp.zeros((GPT["layers"], 2, 1, GENERATE["prompt"] + GENERATE["new"], heads,
                           GPT["width"] // heads))

        @jax.jit
        def generate(variables, prompt, caches):
            def advance(carry, pos):
                ids, caches = carry
                logits, caches = model.apply(variables, ids, caches, pos)
                ids = logits[:, -1].argmax(-1, keepdims=True)
                return (ids, caches), ids[0, 0]

            carry, first = advance((prompt, caches), 0)
            positions = GENERATE["prompt"] + jnp.arange(GENERATE["new"] - 1)
            _, rest = jax.lax.scan(advance, carry, positions)
            return jnp.concatenate((first[None], rest))

        return lambda: generate(variables, prompt, empty).block_until_ready()

    def bert_infer(self, batch):
        ids = self.data.integers(BERT["vocab"], batch, BERT["length"])
        model = self.module(lambda nn, ids: self.transformer(
            nn, BERT, BERT["positions"], False, ids))
        variables = model.init(self.jax.random.key(0), ids)
        apply = self.jax.jit(model.apply)
        return lambda: apply(variables, ids).block_until_ready()

    def vae_train(self):
        import optax

        jax, jnp = self.jax, self.jnp
        model = self.module(self.vae)
        x = self.data.uniform(128, 784)

        def loss(params, state, key, x):
            y, mu, lv = model.apply({"params": params}, x, jax.random.normal(key, (128, 20)))
            bce = -(x * jnp.log(y + 1e-12) + (1 - x) * jnp.log(1 - y + 1e-12)).sum()
            return bce - 0.5 * (1 + lv - mu**2 - jnp.exp(lv)).sum(), state

        variables = dict(model.init(jax.random.key(0), x, jnp.zeros((128, 20))))
        return self.train(variables, loss, [(x,)], optax.adam(1e-3))

    def vae(self, nn, x, noise):
        h = nn.relu(nn.Dense(400)(x))
        mu, lv = nn.Dense(20)(h), nn.Dense(20)(h)
        z = mu + self.jnp.exp(0.5 * lv) * noise
        return nn.sigmoid(nn.Dense(784)(nn.relu(nn.Dense(400)(z)))), mu, lv

    def embedding_train(self):
        jax, jnp, e = self.jax, self.jnp, EMBEDDING
        shape = lambda rows: self.data.normal(rows, e["width"])
        tables = jax.device_put((shape(e["users"]), shape(e["items"])))

        @functools.partial(jax.jit, donate_argnums=0)
        def update(tables, user, item, clicked):
            def loss(rows):
                logits = (rows[0] * rows[1]).sum(1)
                return (jnp.logaddexp(0, logits) - clicked * logits).mean()

            grads = jax.grad(loss)((tables[0][user], tables[1][item]))
            return tuple(t.at[i].add(-0.1 * g) for t, i, g in zip(tables, (user, item), grads))

        stream = cycle([jax.device_put(b) for b in self.data.ratings()])

        def step():
            nonlocal tables
            tables = jax.block_until_ready(update(tables, *next(stream)))

        return step

    def kernel(self, function, *arrays):
        function, arrays = self.jax.jit(function), self.jax.device_put(arrays)
        return lambda: self.jax.block_until_ready(function(*arrays))

    def elementwise_16m(self):
        gelu = functools.partial(self.jax.nn.gelu, approximate=False)
        return self.kernel(lambda x: gelu(1.5 * x + 0.25) * 0.5, self.data.normal(16 * MI))

    def softmax_rows(self):
        return self.kernel(lambda x: self.jax.nn.softmax(x, -1), self.data.normal(4096, 4096))

    def layernorm_rows(self):
        jax, jnp = self.jax, self.jnp

        def forward(x, w, b):
            mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
            return (x - mean) * jax.lax.rsqrt(var + 1e-5) * w + b

        def both(x, w, b, dy):
            y, backward = jax.vjp(forward, x, w, b)
            return y, backward(dy)

        return self.kernel(both, self.data.normal(16384, 1024), jnp.ones(1024), jnp.zeros(1024),
                           self.data.normal(16384, 1024))

    def matmul(self, n, bf16=False):
        dtype = self.jnp.bfloat16 if bf16 else self.jnp.float32
        a, b = (self.jnp.asarray(self.data.normal(n, n), dtype) for _ in range(2))
        return self.kernel(self.jnp.matmul, a, b)

    def op_add4(self):
        a, b = (self.jax.device_put(self.data.normal(4)) for _ in range(2))
        return repeat(lambda: a + b)

    def op_matmul64(self):
        a, b = (self.jax.device_put(self.data.normal(64, 64)) for _ in range(2))
        return repeat(lambda: (a @ b).block_until_ready())
