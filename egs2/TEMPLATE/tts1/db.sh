# shellcheck shell=bash
# Where the corpora are. "downloads": the recipe fetches it into its folder downloads;
# else the folder of the unpacked corpus, or the archive as it was published. Empty:
# nobody can fetch it for you. A variable of the environment goes before what is here.

MANATTS=${MANATTS:-downloads}
COMMONVOICE_FA=${COMMONVOICE_FA:-}     # the licence asks for a click
FLEURS_FA=${FLEURS_FA:-downloads}
PARSIGOO=${PARSIGOO:-downloads}
PERSIAN_SPEECH_CORPUS=${PERSIAN_SPEECH_CORPUS:-downloads}
MANIFEST=${MANIFEST:-}                 # your own: file or folder
