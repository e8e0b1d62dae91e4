"""Monte-Carlo hamiltonien : une gaussienne échantillonnée par des sauts de grenouille."""

import numpy
import theano
from theano import function, shared
from theano import tensor as TT

sharedX = lambda X, name: shared(numpy.asarray(X, dtype=theano.config.floatX), name=name)  # noqa: E731


def kinetic_energy(vel):
    return 0.5 * (vel**2).sum(axis=1)


def hamiltonian(pos, vel, energy_fn):
    return energy_fn(pos) + kinetic_energy(vel)


def metropolis_hastings_accept(energy_prev, energy_next, s_rng):
    ediff = energy_prev - energy_next
    return (TT.exp(ediff) - s_rng.uniform(size=energy_prev.shape)) >= 0


def simulate_dynamics(initial_pos, initial_vel, stepsize, n_steps, energy_fn):
    def leapfrog(pos, vel, step):
        dE_dpos = TT.grad(energy_fn(pos).sum(), pos)
        new_vel = vel - step * dE_dpos
        new_pos = pos + step * new_vel
        return [new_pos, new_vel], {}

    initial_energy = energy_fn(initial_pos)
    dE_dpos = TT.grad(initial_energy.sum(), initial_pos)
    vel_half_step = initial_vel - 0.5 * stepsize * dE_dpos
    pos_full_step = initial_pos + stepsize * vel_half_step
    (all_pos, all_vel), scan_updates = theano.scan(
        leapfrog,
        outputs_info=[dict(initial=pos_full_step), dict(initial=vel_half_step)],
        non_sequences=[stepsize],
        n_steps=n_steps - 1,
    )
    final_pos, final_vel = all_pos[-1], all_vel[-1]
    assert not scan_updates
    energy = energy_fn(final_pos)
    final_vel = final_vel - 0.5 * stepsize * TT.grad(energy.sum(), final_pos)
    return final_pos, final_vel


def hmc_move(s_rng, positions, energy_fn, stepsize, n_steps):
    initial_vel = s_rng.normal(size=positions.shape)
    final_pos, final_vel = simulate_dynamics(positions, initial_vel, stepsize, n_steps, energy_fn)
    accept = metropolis_hastings_accept(
        energy_prev=hamiltonian(positions, initial_vel, energy_fn),
        energy_next=hamiltonian(final_pos, final_vel, energy_fn),
        s_rng=s_rng,
    )
    return accept, final_pos


def hmc_updates(
    positions,
    stepsize,
    avg_acceptance_rate,
    final_pos,
    accept,
    target_acceptance_rate=0.9,
    stepsize_inc=1.02,
    stepsize_dec=0.98,
    stepsize_min=0.001,
    stepsize_max=0.25,
    slowness=0.9,
):
    accept_matrix = accept.dimshuffle(0, *(("x",) * (final_pos.ndim - 1)))
    new_positions = TT.switch(accept_matrix, final_pos, positions)
    _new_stepsize = TT.switch(
        avg_acceptance_rate > target_acceptance_rate,
        stepsize * stepsize_inc,
        stepsize * stepsize_dec,
    )
    new_stepsize = TT.clip(_new_stepsize, stepsize_min, stepsize_max)
    new_acceptance_rate = TT.add(
        slowness * avg_acceptance_rate, (1.0 - slowness) * accept.mean(dtype=theano.config.floatX)
    )
    return [
        (positions, new_positions),
        (stepsize, new_stepsize),
        (avg_acceptance_rate, new_acceptance_rate),
    ]


class HMC_sampler:
    """Un échantillonneur dont l’état est tenu par des variables partagées."""

    def __init__(self, **kwargs):
        self.__dict__.update(kwargs)

    @classmethod
    def new_from_shared_positions(cls, shared_positions, energy_fn, seed=12345, n_steps=15):
        stepsize = sharedX(0.05, "hmc_stepsize")
        avg_acceptance_rate = sharedX(0.9, "avg_acceptance_rate")
        s_rng = TT.shared_randomstreams.RandomStreams(seed)
        accept, final_pos = hmc_move(s_rng, shared_positions, energy_fn, stepsize, n_steps)
        updates = hmc_updates(shared_positions, stepsize, avg_acceptance_rate, final_pos, accept)
        simulate = function([], [], updates=updates)
        return cls(
            positions=shared_positions,
            stepsize=stepsize,
            avg_acceptance_rate=avg_acceptance_rate,
            simulate=simulate,
        )

    def draw(self):
        self.simulate()
        return self.positions.get_value(borrow=False)


def main(n_chains=40, n_samples=200, dim=4, burnin=100):
    rng = numpy.random.RandomState(123)
    mu = numpy.array(rng.rand(dim) * 10, dtype=theano.config.floatX)
    cov = numpy.array(rng.rand(dim, dim), dtype=theano.config.floatX)
    cov = (cov + cov.T) / 2.0
    cov[numpy.arange(dim), numpy.arange(dim)] = 2.0
    cov_inv = numpy.linalg.inv(cov)

    def gaussian_energy(x):
        return 0.5 * (TT.dot((x - mu), cov_inv) * (x - mu)).sum(axis=1)

    position = shared(rng.randn(n_chains, dim).astype(theano.config.floatX))
    sampler = HMC_sampler.new_from_shared_positions(position, gaussian_energy, seed=54321)
    path = [sampler.draw() for _ in range(burnin)]
    samples = numpy.asarray([sampler.draw() for _ in range(n_samples)])
    return {
        "mu": mu,
        "cov": cov,
        "path": path,
        "samples": samples,
        "stepsize": sampler.stepsize.get_value(),
        "acceptance": sampler.avg_acceptance_rate.get_value(),
    }


if __name__ == "__main__":
    results = main()
    print("moyenne", results["samples"].mean(axis=(0, 1)), "au lieu de", results["mu"])
    print("covariance", numpy.cov(results["samples"].reshape(-1, 4).T))
