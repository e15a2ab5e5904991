"""What the docstrings of both estimators say alike."""

from __future__ import annotations

__all__ = ["ATTRIBUTES", "PARAMETERS"]

PARAMETERS = """hidden_layer_sizes : int or sequence of int, default (100,)
    Numbers of units in the hidden layers.
activation : str or Activation, or a list with one per hidden layer, default "relu"
    A name in ``fastact.ACTIVATIONS``, or one made by ``fastact.activation``. "logistic" is "sigmoid".
{loss}solver : {{"adam", "sgd", "adamw"}}, default "adam"
alpha : float, default 0.0001
    An L2 penalty of weights, not of biases: half of it times the sum of their squares, divided by a batch's rows (or by
    the sum of what these count), is added to the loss. Of "adamw", the decay of all parameters.
batch_size : int or "auto", default "auto"
    Rows per step; "auto" is 200. All rows if there are fewer.
learning_rate : {{"constant", "invscaling", "adaptive"}}, default "constant"
    Of "sgd": "invscaling" divides it by ``(1 + rows gone through) ** power_t``; "adaptive" divides it by 5 where
    training would otherwise end, down to 1e-6.
learning_rate_init : float, default 0.001
power_t : float, default 0.5
max_iter : int, default 200
    Epochs at most.
shuffle : bool, default True
    Whether each epoch takes the rows in a new order.
random_state : int, numpy.random.RandomState or None, default None
    Of initial weights, which are scikit-learn's, of the rows held out, and of the order of rows.
tol : float, default 0.0001
    What the loss (or with ``early_stopping`` the score) must be better by, or training ends after more than
    ``n_iter_no_change`` such epochs in a row.
verbose : bool, default False
    Whether to print each epoch's loss.
progress : bool, default False
    Whether to show a progress bar.
warm_start : bool, default False
    Whether ``fit`` goes on from the weights as they are.
momentum : float, default 0.9
nesterovs_momentum : bool, default True
    Of "sgd".
early_stopping : bool, default False
    Whether to hold out ``validation_fraction`` of the rows, to end training when their score gets no better, and to
    go back to the weights with the best.
validation_fraction : float, default 0.1
beta_1, beta_2, epsilon : float, default 0.9, 0.999, 1e-8
    Of "adam" and "adamw", as in ``torch.optim``.
n_iter_no_change : int, default 10
{class_weight}dtype : {{"float32", "float64"}} or None, default None
    What to compute in; None for the type of the inputs, float64 unless they are float32."""

ATTRIBUTES = """{classes}coefs_, intercepts_ : list of ndarray
    Weights of each layer, shape (inputs, outputs), and biases. Entries can be replaced or changed.
loss_curve_, loss_, best_loss_ : list of float, float, float
    The mean loss of each epoch, penalty included, the last and the lowest of them (None with ``early_stopping``).
validation_scores_, best_validation_score_ : list of float, float
    With ``early_stopping``; otherwise None.
n_iter_, t_ : int
    Epochs of the last ``fit``, and rows gone through altogether.
n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_
    As scikit-learn has them."""
