// @ts-check
// Activations and their derivatives.

/** @type {(x: number) => number} */
export function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/**
 * The error function to 1.2e-7: Numerical Recipes, §6.2, a Chebyshev fit.
 * @type {(x: number) => number}
 */
function erf(x) {
  const t = 1 / (1 + 0.5 * Math.abs(x));
  const fit = [
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
  ];
  const sum = fit.reduceRight((total, coefficient) => total * t + coefficient, 0);
  const tail = t * Math.exp(-x * x - 1.26551223 + t * sum);
  return x >= 0 ? 1 - tail : tail - 1;
}

/** The share of a normal distribution below x. @type {(x: number) => number} */
function normalBelow(x) {
  return 0.5 * (1 + erf(x * Math.SQRT1_2));
}

/**
 * An activation: its value at x, and its slope where it has the value y.
 * @typedef {{ value: (x: number) => number, slope: (x: number, y: number) => number }} Activation
 */

/** @type {{ [name: string]: Activation }} */
export const ACTIVATIONS = {
  relu: { value: (x) => (x > 0 ? x : 0), slope: (x) => (x > 0 ? 1 : 0) },
  tanh: { value: Math.tanh, slope: (_, y) => 1 - y * y },
  sigmoid: { value: sigmoid, slope: (_, y) => y * (1 - y) },
  gelu: {
    value: (x) => x * normalBelow(x),
    slope: (x) => normalBelow(x) + x * Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI),
  },
  silu: { value: (x) => x * sigmoid(x), slope: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))) },
  leaky_relu: { value: (x) => (x > 0 ? x : 0.01 * x), slope: (x) => (x > 0 ? 1 : 0.01) },
};
