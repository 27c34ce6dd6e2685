"""What every output states about its limits: the only copy of each sentence for scripts, report, card and exports."""

NOT_A_DEVICE = "Not a medical device."
INTENDED_USE = (
    "This is software for learning and research: do not diagnose, treat or reassure anyone on the basis of its output. "
    "A trained person decides about every patient."
)
NOT_COVERED = (
    "It looks for diabetic retinopathy only: macular oedema, which clinics usually count as referable too, is not "
    "covered, nor is any other disease of the eye."
)
SYNTHETIC_FIGURES = "Synthetic photographs: these figures say nothing about patients."
SYNTHETIC_MODEL = "Trained on synthetic photographs: its answers say nothing about patients."
SYNTHETIC_REASON = "The photographs are drawn, so that the pipeline can be tried without any patient's data."
