"""The workloads in TensorFlow."""

import functools

from measure import repeat
from workloads import LSTM, MI, Data


class TensorFlow:
    """Keras 3 layers and optimizers, the whole training step in one tf.function."""

    package = "tensorflow"

    def __init__(self, threads):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.keras.utils.set_random_seed(0)
        self.tf, self.keras, self.layers, self.data = tf, tf.keras, tf.keras.layers, Data()

    def fit(self, model, loss, x, y, optimizer):
        tf = self.tf
        x, y = tf.constant(x), tf.constant(y)

        @tf.function
        def update():
            with tf.GradientTape() as tape:
                value = tf.reduce_mean(loss(y, model(x, training=True)))
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(value, variables), variables))
            return value

        return lambda: update().numpy()

    def classify(self, model, x, y, optimizer):
        loss = lambda y, logits: self.tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        return self.fit(model, loss, x, y, optimizer)

    def xor_train(self):
        L, keras = self.layers, self.keras
        model = keras.Sequential([L.Dense(8, "tanh"), L.Dense(1, "sigmoid")])
        return self.fit(model, keras.losses.binary_crossentropy, *self.data.xor(),
                        keras.optimizers.SGD(0.5))

    def mlp_train(self):
        L = self.layers
        model = self.keras.Sequential([L.Dense(512, "relu"), L.Dense(256, "relu"), L.Dense(10)])
        return self.classify(model, self.data.normal(128, 784), self.data.integers(10, 128),
                             self.keras.optimizers.Adam(1e-3))

    def lenet_train(self):
        L = self.layers
        model = self.keras.Sequential([
            L.Conv2D(32, 3, activation="relu"), L.MaxPool2D(),
            L.Conv2D(64, 3, activation="relu"), L.MaxPool2D(),
            L.Flatten(), L.Dense(128, "relu"), L.Dropout(0.5), L.Dense(10)])
        return self.classify(model, self.data.normal(64, 28, 28, 1), self.data.integers(10, 64),
                             self.keras.optimizers.Adam(1e-3))

    def resnet18_train(self):
        L, keras = self.layers, self.keras

        def conv(x, width, size=3, stride=1):
            x = L.Conv2D(width, size, stride, padding="same", use_bias=False)(x)
            return L.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

        inputs = keras.Input((32, 32, 3))
        x = L.ReLU()(conv(inputs, 64))
        for width, stride in zip((64, 128, 256, 512), (1, 2, 2, 2)):
            for stride in (stride, 1):
                y = conv(L.ReLU()(conv(x, width, stride=stride)), width)
                if x.shape != y.shape:
                    x = conv(x, width, 1, stride)
                x = L.ReLU()(x + y)
        model = keras.Model(inputs, L.Dense(10)(L.GlobalAveragePooling2D()(x)))
        return self.classify(model, self.data.normal(32, 32, 32, 3), self.data.integers(10, 32),
                             keras.optimizers.SGD(0.1, 0.9, weight_decay=5e-4))

    def lstm_train(self):
        L, keras, width = self.layers, self.keras, LSTM["width"]
        model = keras.Sequential([
            L.Embedding(LSTM["vocab"], width), L.LSTM(width, return_sequences=True),
            L.LSTM(width, return_sequences=True), L.Dense(LSTM["vocab"])])
        x, y = self.data.sequences(LSTM["vocab"], LSTM["batch"], LSTM["length"])
        return self.classify(model, x, y, keras.optimizers.Adam(1e-3, global_clipnorm=1.0))

    def kernel(self, function, *tensors):
        function, wait = self.tf.function(function), self.tf.test.experimental.sync_devices

        def step():
            function(*tensors)
            wait()

        return step

    def elementwise_16m(self):
        gelu = functools.partial(self.tf.nn.gelu, approximate=False)
        return self.kernel(lambda x: gelu(1.5 * x + 0.25) * 0.5,
                           self.tf.constant(self.data.normal(16 * MI)))

    def softmax_rows(self):
        return self.kernel(self.tf.nn.softmax, self.tf.constant(self.data.normal(4096, 4096)))

    def matmul(self, n, bf16=False):
        dtype = self.tf.bfloat16 if bf16 else self.tf.float32
        return self.kernel(self.tf.matmul, *(
            self.tf.cast(self.data.normal(n, n), dtype) for _ in range(2)))

    def op_add4(self):
        a, b = (self.tf.constant(self.data.normal(4)) for _ in range(2))
        return repeat(lambda: a + b)

    def op_matmul64(self):
        a, b = (self.tf.constant(self.data.normal(64, 64)) for _ in range(2))
        return repeat(lambda: a @ b)
