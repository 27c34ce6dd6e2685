"""From rows of photographs to rows of patients."""


def worst_of_patients(rows, patients):
    """Join the photographs of each patient as predict.py does: the worst counts.

    Parameters
    ----------
    rows : DataFrame
        Of photographs: grade, truth, probability, answer; the highest is the worst.
    patients : sequence, shape (n,)

    Returns
    -------
    DataFrame
        One row per patient, who is the index, in their order.
    """
    return rows.groupby(patients).max()
