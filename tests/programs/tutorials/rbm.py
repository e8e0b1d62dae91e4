"""Machine de Boltzmann restreinte, divergence contrastive à chaînes persistantes, sur MNIST.

Emploi : rbm.py mnist.pkl.gz [époques]
"""

import sys

import numpy
import theano
import theano.tensor as T
from softmax_regression import load_data
from theano.tensor.shared_randomstreams import RandomStreams


class RBM:
    """Unités visibles et cachées binaires."""

    def __init__(self, input, n_visible=784, n_hidden=20, numpy_rng=None, theano_rng=None):
        self.n_visible = n_visible
        self.n_hidden = n_hidden
        bound = 4 * numpy.sqrt(6.0 / (n_hidden + n_visible))
        initial_W = numpy.asarray(
            numpy_rng.uniform(low=-bound, high=bound, size=(n_visible, n_hidden)),
            dtype=theano.config.floatX,
        )
        self.W = theano.shared(value=initial_W, name="W", borrow=True)
        self.hbias = theano.shared(
            value=numpy.zeros(n_hidden, dtype=theano.config.floatX), name="hbias", borrow=True
        )
        self.vbias = theano.shared(
            value=numpy.zeros(n_visible, dtype=theano.config.floatX), name="vbias", borrow=True
        )
        self.input = input
        self.theano_rng = theano_rng
        self.params = [self.W, self.hbias, self.vbias]

    def free_energy(self, v_sample):
        wx_b = T.dot(v_sample, self.W) + self.hbias
        vbias_term = T.dot(v_sample, self.vbias)
        hidden_term = T.sum(T.log(1 + T.exp(wx_b)), axis=1)
        return -hidden_term - vbias_term

    def propup(self, vis):
        activation = T.dot(vis, self.W) + self.hbias
        return [activation, T.nnet.sigmoid(activation)]

    def sample_h_given_v(self, v0_sample):
        pre_sigmoid_h1, h1_mean = self.propup(v0_sample)
        h1_sample = self.theano_rng.binomial(
            size=h1_mean.shape, n=1, p=h1_mean, dtype=theano.config.floatX
        )
        return [pre_sigmoid_h1, h1_mean, h1_sample]

    def propdown(self, hid):
        activation = T.dot(hid, self.W.T) + self.vbias
        return [activation, T.nnet.sigmoid(activation)]

    def sample_v_given_h(self, h0_sample):
        pre_sigmoid_v1, v1_mean = self.propdown(h0_sample)
        v1_sample = self.theano_rng.binomial(
            size=v1_mean.shape, n=1, p=v1_mean, dtype=theano.config.floatX
        )
        return [pre_sigmoid_v1, v1_mean, v1_sample]

    def gibbs_hvh(self, h0_sample):
        pre_sigmoid_v1, v1_mean, v1_sample = self.sample_v_given_h(h0_sample)
        pre_sigmoid_h1, h1_mean, h1_sample = self.sample_h_given_v(v1_sample)
        return [pre_sigmoid_v1, v1_mean, v1_sample, pre_sigmoid_h1, h1_mean, h1_sample]

    def gibbs_vhv(self, v0_sample):
        pre_sigmoid_h1, h1_mean, h1_sample = self.sample_h_given_v(v0_sample)
        pre_sigmoid_v1, v1_mean, v1_sample = self.sample_v_given_h(h1_sample)
        return [pre_sigmoid_h1, h1_mean, h1_sample, pre_sigmoid_v1, v1_mean, v1_sample]

    def get_cost_updates(self, lr=0.1, persistent=None, k=1):
        _, _, ph_sample = self.sample_h_given_v(self.input)
        chain_start = ph_sample if persistent is None else persistent
        (
            [
                pre_sigmoid_nvs,
                nv_means,
                nv_samples,
                pre_sigmoid_nhs,
                nh_means,
                nh_samples,
            ],
            updates,
        ) = theano.scan(
            self.gibbs_hvh,
            outputs_info=[None, None, None, None, None, chain_start],
            n_steps=k,
            name="gibbs_hvh",
        )
        chain_end = nv_samples[-1]
        cost = T.mean(self.free_energy(self.input)) - T.mean(self.free_energy(chain_end))
        gparams = T.grad(cost, self.params, consider_constant=[chain_end])
        for gparam, param in zip(gparams, self.params):
            updates[param] = param - gparam * T.cast(lr, dtype=theano.config.floatX)
        if persistent:
            updates[persistent] = nh_samples[-1]
            monitoring_cost = self.get_pseudo_likelihood_cost(updates)
        else:
            monitoring_cost = self.get_reconstruction_cost(pre_sigmoid_nvs[-1])
        return monitoring_cost, updates

    def get_pseudo_likelihood_cost(self, updates):
        bit_i_idx = theano.shared(value=0, name="bit_i_idx")
        xi = T.round(self.input)
        fe_xi = self.free_energy(xi)
        xi_flip = T.set_subtensor(xi[:, bit_i_idx], 1 - xi[:, bit_i_idx])
        fe_xi_flip = self.free_energy(xi_flip)
        cost = T.mean(self.n_visible * T.log(T.nnet.sigmoid(fe_xi_flip - fe_xi)))
        updates[bit_i_idx] = (bit_i_idx + 1) % self.n_visible
        return cost

    def get_reconstruction_cost(self, pre_sigmoid_nv):
        return T.mean(
            T.sum(
                self.input * T.log(T.nnet.sigmoid(pre_sigmoid_nv))
                + (1 - self.input) * T.log(1 - T.nnet.sigmoid(pre_sigmoid_nv)),
                axis=1,
            )
        )


def main(path, n_epochs=2, learning_rate=0.1, batch_size=20, n_hidden=20, k=3, n_chains=5):
    (train_x, _), _, (test_x, _) = load_data(path)
    n_batches = train_x.get_value(borrow=True).shape[0] // batch_size
    index = T.lscalar()
    x = T.matrix("x")
    rng = numpy.random.RandomState(123)
    theano_rng = RandomStreams(rng.randint(2**30))
    persistent_chain = theano.shared(
        numpy.zeros((batch_size, n_hidden), dtype=theano.config.floatX), borrow=True
    )
    rbm = RBM(input=x, n_hidden=n_hidden, numpy_rng=rng, theano_rng=theano_rng)
    cost, updates = rbm.get_cost_updates(lr=learning_rate, persistent=persistent_chain, k=k)
    train_rbm = theano.function(
        [index],
        cost,
        updates=updates,
        givens={x: train_x[index * batch_size : (index + 1) * batch_size]},
        name="train_rbm",
    )
    energy = theano.function([], rbm.free_energy(x).mean(), givens={x: test_x})
    costs, energies = [], []
    for epoch in range(n_epochs):
        costs += [train_rbm(i) for i in range(n_batches)]
        energies.append(float(energy()))
        print("époque %d, coût %f" % (epoch, numpy.mean(costs[-n_batches:])))

    # Des échantillons, par une longue chaîne de Gibbs
    start = numpy.asarray(test_x.get_value(borrow=True)[:n_chains], dtype=theano.config.floatX)
    persistent_vis_chain = theano.shared(start)
    outputs, updates = theano.scan(
        rbm.gibbs_vhv,
        outputs_info=[None, None, None, None, None, persistent_vis_chain],
        n_steps=20,
        name="gibbs_vhv",
    )
    updates.update({persistent_vis_chain: outputs[-1][-1]})
    sample_fn = theano.function(
        [], [outputs[4][-1], outputs[5][-1]], updates=updates, name="sample_fn"
    )
    samples = [sample_fn() for _ in range(2)]
    return {
        "costs": costs,
        "energies": energies,
        "params": [param.get_value() for param in rbm.params],
        "chain": persistent_chain.get_value(),
        "samples": samples,
    }


if __name__ == "__main__":
    results = main(sys.argv[1], *map(int, sys.argv[2:]))
